"""What the claims need trained: every arm on every ground once, whichever claims ask for it; and the runs that there are."""

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from litconv.claims.claim import Claim
from litconv.claims.grounds import Ground
from litconv.claims.hypothesis import Trained
from litconv.compare.collect import load
from litconv.config import composed, own_yamls
from litconv.config.messages import one_line
from litconv.errors import ConfigError
from litconv.run.asked import Asked

Runs = Mapping[str, pd.DataFrame]  # overrides of an arm → its completed runs, one row a seed


class Trials:
    """`common`: overrides of all runs."""

    def __init__(self, claims: Iterable[Claim], grounds: Mapping[str, Ground], common: list[str]) -> None:
        self.grounds, self.common = grounds, common
        self.hashes: dict[str, str] = {}  # overrides → arm_hash
        asked = set()
        for claim in claims:
            asked.update(claim.grounds)
            for hypothesis in claim.hypotheses:
                if isinstance(hypothesis, Trained):
                    self.add(claim, hypothesis)
        self.used = [one for name, one in grounds.items() if name in asked and not one.missing]

    def add(self, claim: Claim, hypothesis: Trained) -> None:
        for ground in hypothesis.grounds:
            if self.grounds[ground].missing:
                continue
            for overrides in self.arms(hypothesis, ground).values():
                if overrides not in self.hashes:
                    self.hashes[overrides] = self.hash_of(overrides, claim)

    def hash_of(self, overrides: str, claim: Claim) -> str:
        try:
            return Asked.of(composed.compose([*shlex.split(overrides), *self.common, *own_yamls.of_user()])).arm_hash
        except Exception as error:
            raise ConfigError(f"conf/claims/{claim.name}.yaml: {overrides}: {one_line(error)}") from error

    def arms(self, hypothesis: Trained, ground: str) -> dict[str, str]:
        """Label → all overrides of its runs there."""
        place = f"{self.grounds[ground].overrides} {hypothesis.grounds[ground]}"
        return {label: shlex.join(shlex.split(f"{place} {own}")) for label, own in hypothesis.arms.items()}

    @property
    def points(self) -> list[str]:
        """Overrides, each run once: equal ones that are written otherwise are left out."""
        first: dict[str, str] = {}  # arm_hash → overrides
        for overrides, arm_hash in self.hashes.items():
            first.setdefault(arm_hash, overrides)
        return list(first.values())

    def runs(self, sweep: Path) -> Runs:
        """Overrides → completed runs, one row a seed."""
        table = load(sweep) if sweep.is_dir() else pd.DataFrame(columns=["status", "arm_hash", "seed"])
        done = table[table["status"] == "completed"] if "arm_hash" in table else table.iloc[:0]
        return {
            overrides: done[done["arm_hash"] == arm_hash].sort_values("seed") if len(done) else done
            for overrides, arm_hash in self.hashes.items()
        }
