"""deployed.json: a run's figures where it is deployed, and how they were measured."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from litconv.cost.deployed_keys import BY_NAME, NEEDS, Place, place_of
from litconv.files import digest, write_whole
from litconv.prepare.deployed import Deploying
from litconv.runtimes.scheme import processor

FILE = "deployed.json"


@dataclass(frozen=True)
class Conditions:
    """Figures of other conditions are other figures."""

    threads: int
    batch: int
    seconds: float
    calibration: Mapping[str, Any] | None  # None: there is no int8
    processor: str
    versions: Mapping[str, str]
    checkpoint: str  # the first digits of its SHA-256

    @classmethod
    def of(cls, deploying: Deploying, checkpoint: Path) -> "Conditions":
        packages = dict.fromkeys(name for place in deploying.places for name in NEEDS[place.runtime])
        return cls(
            threads=deploying.how.threads,
            batch=deploying.how.batch,
            seconds=deploying.how.seconds,
            calibration={"images": deploying.images, "method": deploying.method}
            if deploying.needs_calibration
            else None,
            processor=processor(),
            versions={name: version(name) for name in packages},
            checkpoint=digest(checkpoint),
        )

    def holds(self, written: Mapping[str, Any]) -> bool:
        """Whether what stands in a file was measured so. Libraries that one of the two did not use say nothing, and neither
        does calibration where one of them has no int8."""
        versions, calibration = written.get("versions", {}), written.get("calibration")
        same = all(versions.get(name, number) == number for name, number in self.versions.items())
        same &= self.calibration is None or calibration in (None, self.calibration)
        return same and all(written.get(k) == v for k, v in vars(self).items() if k not in ("versions", "calibration"))


@dataclass(frozen=True)
class Record:
    conditions: Conditions
    figures: dict[str, float]
    latencies_of: str  # the name of the run whose network was measured; seeds of an arm have networks of one shape
    split: str  # that the metric is of: test, or val where the set has no test split
    calibrated_on: int | None  # images; None: there is no int8
    int8: Mapping[str, Any]  # what computes in integers
    disturbed: list[str]  # where the machine was too busy for milliseconds to count: `OpenVINO int8 at batch 32`

    def write(self, folder: Path) -> None:
        """Whole or not at all; places that were measured before under the same conditions are kept."""
        facts = {**vars(self.conditions), **{k: v for k, v in vars(self).items() if k != "conditions"}}
        before = read(folder)
        if self.conditions.holds(before):
            facts["versions"] = {**before["versions"], **facts["versions"]}
            facts["int8"] = facts["int8"] or before.get("int8", {})
            facts["calibration"] = facts["calibration"] or before["calibration"]
            facts["calibrated_on"] = facts["calibrated_on"] or before.get("calibrated_on")
            facts["figures"] = {**before["figures"], **facts["figures"]}
            now = tuple({place_of(key).label for key in self.figures})
            facts["disturbed"] = [
                *(where for where in before["disturbed"] if not where.startswith(now)),
                *self.disturbed,
            ]
        write_whole(folder / FILE, (json.dumps(facts, indent=2) + "\n").encode())


def read(folder: Path) -> dict[str, Any]:
    """Empty where there is none that can be used."""
    try:
        written = json.loads((folder / FILE).read_bytes())
    except (OSError, ValueError):
        return {}
    usable = isinstance(written, dict) and isinstance(written.get("figures"), dict)
    return written if usable and isinstance(written.get("versions"), dict) else {}


def is_cost(key: str) -> bool:
    return key.rpartition("/")[2] in BY_NAME


def costs_in(figures: Mapping[str, float], place: Place) -> dict[str, float]:
    return {key: value for key, value in figures.items() if place_of(key) == place and is_cost(key)}


def scores_in(figures: Mapping[str, float], place: Place) -> dict[str, float]:
    return {key: value for key, value in figures.items() if place_of(key) == place and not is_cost(key)}


def is_complete(figures: Mapping[str, float], places: tuple[Place, ...]) -> bool:
    return all(place.key("latency_ms") in figures and scores_in(figures, place) for place in places)


def with_costs(record: Record, costs: Mapping[str, float], latencies_of: str) -> Record:
    """Costs that were measured on another seed's network; its own files' sizes stand."""
    return replace(record, figures={**costs, **record.figures}, latencies_of=latencies_of)
