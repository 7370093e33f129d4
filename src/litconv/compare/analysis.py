"""From the table of runs to a `Result`: which runs count, what may be compared with what, what has to be said of them."""

import pandas as pd

from litconv.compare.arms import group, with_arm_hash
from litconv.compare.deployed.devices import refuse_unmeasured
from litconv.compare.folds import FOLD, pooled, with_folds
from litconv.compare.inference.assumptions import doubts
from litconv.compare.inference.broken import broken_seeds
from litconv.compare.inference.planned import SEEDS, plans_of, remarks_on, smallest
from litconv.compare.inference.statistics import Rule
from litconv.compare.metric import Metric, choose
from litconv.compare.question import MARGIN, USUAL, Question
from litconv.compare.references import references
from litconv.compare.remarks import remarks
from litconv.compare.result import Result, compared, validation_of
from litconv.compare.settings import check_alike, refuse_unlike
from litconv.compare.tuning.families import tuned
from litconv.compare.usable import counted, latest, unfinished, usable
from litconv.compare.where import pick, proposal
from litconv.config.root_keys import MOST_SEEDS
from litconv.errors import ConfigError


def analyse(runs: pd.DataFrame, name: str, question: Question = USUAL) -> Result:
    if runs.empty:
        raise ConfigError(f"{name}: no runs there; a run is a folder with config.yaml and summary.json")
    runs, picked = pick(runs, question.where)
    completed = runs[runs["status"] == "completed"]
    if completed.empty:
        problems = unfinished(runs)
        first = problems[0]
        raise ConfigError(
            f"{name}: none of {len(runs)} runs is completed ({counted(problems)}); the first, {first.run}: {first.what}"
        )
    chosen = choose(completed, question.metric)
    kept, problems = usable(runs, chosen)
    if kept.empty:
        raise ConfigError(
            f"{name}: no completed run has a usable {chosen.key}; {problems[-1].run}: {problems[-1].what}"
        )
    kept, asked = with_folds(*with_arm_hash(kept))
    kept, repeated = latest(kept, ["arm_hash", "seed", FOLD])
    kept, of_folds = pooled(kept, asked)
    if kept.empty:
        raise ConfigError(f"{name}: no seed has all of its folds; {of_folds[-1]}")
    kept, asked, tuning = tuned(runs, kept, asked, question.best_of)

    unlike = check_alike((asked[h], own) for h, own in kept.groupby("arm_hash", sort=False))
    if not question.mix:
        refuse_unlike(unlike, proposal(kept, asked, question.where) if unlike else "")
    arms = group(kept, asked, chosen)
    refuse_unmeasured(arms, kept)
    against = references(arms, question.reference)
    plans = plans_of(kept["folder"])
    plan, seeds = smallest(plans), question.seeds
    if None not in (plan, seeds) and plan != seeds:
        raise ConfigError(
            f"seeds={seeds}: {plan} were planned when the sweep began (plan.json beside its runs); leave seeds out"
        )
    rule = Rule(plan or seeds or SEEDS, question.test, in_unit(question.margin, chosen))
    if rule.margin is not None and not chosen.directed:
        raise ConfigError(
            f"margin={question.margin} with metric={chosen.key}: neither more nor less of it is better, so that no arm can be as "
            "good as another; leave margin out"
        )
    comparisons = compared(arms, against, chosen, rule)
    broken = broken_seeds(arms, chosen, validation_of(chosen))
    notes = picked + [f"unlike runs are mixed, because mix=true: {clause}" for clause in unlike]
    notes += [*of_folds, *remarks_on(plans)]
    if tuning is None and (kept["seed"] >= MOST_SEEDS).any():
        notes.append(
            f"some runs have seeds from {MOST_SEEDS} on, as those that choose in a tuned sweep; best_of=KEY (such as optim.lr) "
            "keeps them apart"
        )
    if rule.test == "student":
        notes += doubts(comparisons)
    notes += [*(tuning.notes(arms) if tuning else []), *remarks(kept, arms, against, repeated)]
    stands = (plan or seeds) is not None
    return Result(name, chosen, kept, arms, against, comparisons, problems, rule, stands, broken, notes, tuning)


def in_unit(margin: float | None, metric: Metric) -> float | None:
    """Points as a fraction; for a metric without points the usual margin says nothing."""
    if margin is None or metric.fraction:
        return None if margin is None else margin / 100
    return None if margin == MARGIN else margin
