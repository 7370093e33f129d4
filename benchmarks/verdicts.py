"""How often a comparison is wrong, and how often it is right: python benchmarks/verdicts.py

Scores are drawn, arms are compared as scripts/compare.py does (`compare_all`), and claims are counted; the tests do the same
shorter, once through run folders. A run's score is the luck of its seed, which all arms share, and noise of its own.
Families of arms are equal in truth unless said otherwise. Prints Markdown; in brackets the rule of before: the exact sign-flip
test, Holm's method, the level of one look at every look.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from litconv.compare.inference.sign_flip import sign_flip_p
from litconv.compare.inference.statistics import ALPHA, Comparison, Rule, compare_all, holm

Noise = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
STUDENT_3 = np.sqrt(3.0)  # its standard deviation
STEP = 5.0  # what a diverging arm's good seeds are above the reference, in SD of the noise


def unequal(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """The reference, and every arm, with another standard deviation: 0.3 to 3."""
    return random.normal(0, 1, shape) * np.geomspace(0.3, 3, shape[0])[:, None]


def diverging(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Of every arm, but not of the reference, one seed in ten is far below; the others are so much above that the means are
    equal."""
    luck = np.where(random.random(shape) < 0.1, -9 * STEP, STEP)
    luck[0] = 0
    return random.normal(0, 1, shape) + luck


NOISES: dict[str, Noise] = {
    "normal": lambda random, shape: random.normal(0, 1, shape),
    "Student's t, 3 degrees of freedom": lambda random, shape: random.standard_t(3, shape) / STUDENT_3,
    "exponential": lambda random, shape: random.exponential(1, shape) - 1,
    "unequal variances": unequal,
}


def scores(random: np.random.Generator, noise: Noise, arms: int, seeds: int) -> np.ndarray:
    """(1 + arms, seeds); the reference comes first."""
    return noise(random, (1 + arms, seeds)) + random.normal(0, 1, seeds)


def family(values: np.ndarray, rule: Rule, seeds: int) -> list[Comparison]:
    """Every arm against the reference, by its first seeds."""
    reference, *arms = [dict(enumerate(row[:seeds])) for row in values]
    return compare_all([(arm, reference) for arm in arms], rule)


def old_claims(values: np.ndarray, seeds: int) -> np.ndarray:
    """(arms,): the rule of before."""
    p = sign_flip_p((values[1:] - values[0])[:, :seeds])
    return holm(p) <= ALPHA


def false_alarms(noise: Noise, arms: int, seeds: int, rule: Rule, times: int) -> tuple[float, float]:
    """The share of families of equal arms in which some arm is claimed to differ: by the rule, by the old one."""
    random = np.random.default_rng(0)
    wrong = np.zeros((times, 2))
    for i in range(times):
        values = scores(random, noise, arms, seeds)
        wrong[i] = any(c.claimed for c in family(values, rule, seeds)), old_claims(values, seeds).any()
    return tuple(wrong.mean(0))


def at_any_look(noise: Noise, arms: int, most: int, rule: Rule, times: int) -> tuple[float, float]:
    """As `false_alarms`, where a family counts if any look from 3 seeds to `most` claims."""
    random = np.random.default_rng(1)
    wrong = np.zeros((times, 2))
    for i in range(times):
        values = scores(random, noise, arms, most)
        looks = range(3, most + 1)
        wrong[i, 0] = any(c.claimed for n in looks for c in family(values, rule, n))
        wrong[i, 1] = any(old_claims(values, n).any() for n in looks)
    return tuple(wrong.mean(0))


def coverage(noise: Noise, arms: int, seeds: int, rule: Rule, times: int) -> float:
    """The share of families in which all intervals hold their gap, the arms' true gaps being 0, 1, 2, …"""
    random = np.random.default_rng(2)
    gaps = np.arange(arms, dtype=float)
    held = []
    for _ in range(times):
        values = scores(random, noise, arms, seeds)
        values[1:] += gaps[:, None]
        held.append(all(c.low <= gap <= c.high for c, gap in zip(family(values, rule, seeds), gaps, strict=True)))
    return float(np.mean(held))


def falsely_as_good(noise: Noise, arms: int, seeds: int, rule: Rule, times: int) -> float:
    """The share of families with some false claim, where one arm is equal and all others lie at the margin exactly."""
    random = np.random.default_rng(3)
    wrong = []
    for _ in range(times):
        values = scores(random, noise, arms, seeds)
        values[2:] -= rule.margin
        equal, *worse = family(values, rule, seeds)
        wrong.append(equal.claimed or any(c.word in ("as good", "better") for c in worse))
    return float(np.mean(wrong))


def words(gap: float, arms: int, seeds: int, rule: Rule, times: int) -> dict[str, float]:
    """The shares of the verdicts of an arm with this gap, in SD of the differences, among equal ones."""
    random = np.random.default_rng(4)
    counted: dict[str, int] = {}
    for _ in range(times):
        values = scores(random, NOISES["normal"], arms, seeds)
        values[1] += gap * np.sqrt(2)
        word = family(values, rule, seeds)[0].word
        counted[word] = counted.get(word, 0) + 1
    return {word: count / times for word, count in counted.items()}


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=4000, help="families that are drawn for each figure")
    times = parser.parse_args().times
    print(f"{times} families for each figure, `python benchmarks/verdicts.py --times {times}`\n")
    print("Equal arms, planned seeds: some arm is claimed to differ (at most 5 %)\n")
    print("| noise | arms | 3 seeds | 5 seeds | 8 seeds |\n| --- | --- | --- | --- | --- |")
    for name, noise in {**NOISES, "one seed in ten diverges": diverging}.items():
        for arms in (1, 8):
            found = [false_alarms(noise, arms, n, Rule(n), times) for n in (3, 5, 8)]
            cells = " | ".join(f"{percent(new)} ({percent(old)})" for new, old in found)
            print(f"| {name} | {arms} | {cells} |", flush=True)
    print("\nEqual arms, looked at with every number of seeds from 3 to 16: some look claims (at most 5 %)\n")
    print(
        "| noise | arms | 3 planned | 5 planned | 8 planned | test=exact, 8 planned |\n| --- | --- | --- | --- | --- | --- |"
    )
    for name, noise in NOISES.items():
        for arms in (1, 5):
            found = [at_any_look(noise, arms, 16, Rule(n), times) for n in (3, 5, 8)]
            exact = at_any_look(noise, arms, 12, Rule(8, "exact"), max(times // 4, 100))[0]
            cells = " | ".join(f"{percent(new)} ({percent(old)})" for new, old in found)
            print(f"| {name} | {arms} | {cells} | {percent(exact)} |", flush=True)
    print(
        "\nAll intervals of 5 arms hold their gap (at least 95 %); false claims, four of 5 at the margin (at most 5 %)\n"
    )
    print("| noise | held, 3 seeds | 5 seeds | 8 seeds | false, 3 seeds | 5 seeds | 8 seeds |" + f"\n{'| --- ' * 7}|")
    for name, noise in NOISES.items():
        held = [percent(coverage(noise, 5, n, Rule(n), times)) for n in (3, 5, 8)]
        good = [percent(falsely_as_good(noise, 5, n, replace(Rule(n), margin=4.0), times)) for n in (3, 5, 8)]
        print(f"| {name} | {' | '.join(held)} | {' | '.join(good)} |", flush=True)
    print("\nVerdicts of one arm of 5 by its true gap, in SD of the differences; margin 1.5 SD\n")
    print("| gap | seeds | better | worse | as good | cannot tell yet |\n| --- | --- | --- | --- | --- | --- |")
    for gap in (0.0, -1.5, -3.0, -20.0):
        for n in (3, 5, 8):
            found = words(gap, 5, n, Rule(n, margin=1.5 * np.sqrt(2)), times)
            cells = " | ".join(
                percent(found.get(word, 0.0)) for word in ("better", "worse", "as good", "cannot tell yet")
            )
            print(f"| {gap:g} | {n} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
