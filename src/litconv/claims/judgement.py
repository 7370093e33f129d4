"""Claims → findings, and what each claim comes to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from litconv.claims.claim import Claim
from litconv.claims.finding import COMPUTED, Finding, Word
from litconv.claims.grounds import Ground
from litconv.claims.hypothesis import Computed, Say, Trained
from litconv.claims.trials import Runs, Trials
from litconv.compare.inference.statistics import Rule
from litconv.config.front import spelled


@dataclass(frozen=True)
class Judged:
    claim: Claim
    findings: list[Finding]
    grounds: dict[str, Ground]

    @cached_property
    def word(self) -> str:
        """Of the claim as a whole, by its findings that were tested: `in part` if some are supported and some refuted."""
        words = {one.word for one in self.findings} - {"not run"}
        if not words:
            return "not run"
        if {"supported", "refuted"} <= words:
            return "in part"
        return next(word for word in ("cannot tell", "refuted", "supported") if word in words)

    def of_sort(self, sort: str) -> list[Finding]:
        return [one for one in self.findings if self.sort(one) == sort]

    def sort(self, finding: Finding) -> str:
        """Of its ground: computed, made or real."""
        if finding.ground == COMPUTED:
            return COMPUTED
        return "real" if self.grounds[finding.ground].real else "made"

    def title(self, finding: Finding) -> str:
        return finding.ground if finding.ground == COMPUTED else self.grounds[finding.ground].title

    @cached_property
    def unlike(self) -> list[str]:
        """Sentences on hypotheses that come out otherwise on real data than on made."""
        said = []
        for says in dict.fromkeys(one.says for one in self.findings):
            tested = [one for one in self.findings if one.says == says and one.word != "not run"]
            made, real = ([one for one in tested if self.sort(one) == sort] for sort in ("made", "real"))
            if made and real and {one.word for one in made} != {one.word for one in real}:
                said.append(f"{says} {'; '.join(f'{self.title(one)}: {one.word}' for one in (*made, *real))}.")
        return said


def judge(claims: list[Claim], trials: Trials, runs: Runs, planned: int, say: Say) -> list[Judged]:
    """`planned`: seeds."""
    rule = Rule(planned)
    judged = []
    for claim in claims:
        say(f"judging {claim.name}")
        findings = []
        for hypothesis in claim.hypotheses:
            if isinstance(hypothesis, Computed):
                findings.append(hypothesis.find(say))
            else:
                findings += of_runs(hypothesis, trials, runs, rule)
        judged.append(Judged(claim, findings, dict(trials.grounds)))
    return judged


def of_runs(hypothesis: Trained, trials: Trials, runs: Runs, rule: Rule) -> Iterator[Finding]:
    for name in hypothesis.grounds:
        ground = trials.grounds[name]
        if ground.missing:
            yield Finding(hypothesis.says, name, "not run", ground.missing)
            continue
        arms = trials.arms(hypothesis, name)
        found = hypothesis.judge({label: runs[overrides] for label, overrides in arms.items()}, rule, name)
        commands = [
            f"{' '.join(spelled('train'))} -m {ground.shown(own)} {' '.join(trials.common)} seeds={rule.planned}"
            for own in arms.values()
        ]
        lacking = [label for label, own in arms.items() if len(runs[own]) < rule.planned]
        because = found.because + (f"; fewer than {rule.planned} runs of {', '.join(lacking)}" if lacking else "")
        yield replace(found, commands=commands, because=because)


def total(judged: Sequence[Judged]) -> dict[str, int]:
    words: dict[str, int] = dict.fromkeys(("supported", "in part", "refuted", "cannot tell", "not run"), 0)
    for one in judged:
        words[one.word] += 1
    return {word: count for word, count in words.items() if count}


def counts(findings: list[Finding]) -> list[tuple[Word, int]]:
    """How often each word stands, in a fixed order."""
    order: tuple[Word, ...] = ("supported", "refuted", "cannot tell", "not run")
    return [(word, count) for word in order if (count := sum(one.word == word for one in findings))]
