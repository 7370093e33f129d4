"""How many seeds a sweep was planned with: plan.json beside its runs, written by its first launch and by none after it, so that
a comparison knows what was planned before anything was seen."""

import json
from pathlib import Path

from litconv.config.root_keys import MOST_SEEDS
from litconv.files import write_whole

PLAN = "plan.json"


def write_plan(sweep: Path, seeds: int) -> None:
    """Unless one stands there, or that is no number of seeds: then no run begins either."""
    if 1 <= seeds <= MOST_SEEDS and not (sweep / PLAN).exists():
        sweep.mkdir(parents=True, exist_ok=True)
        write_whole(sweep / PLAN, json.dumps({"seeds": seeds}).encode())


def read_plan(sweep: Path) -> int | None:
    """None where there is none, or none that can be read."""
    try:
        seeds = json.loads((sweep / PLAN).read_bytes())["seeds"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return seeds if type(seeds) is int and 1 <= seeds <= MOST_SEEDS else None
