"""A measured width is kept: every seed of an arm, and every process of a run, trains the same network.

One file an arm in `<output_dir>/matched/`; where it is removed, the next run measures anew.
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from litconv.data.problem import Problem
from litconv.errors import ConfigError
from litconv.files import write_once
from litconv.match.verdict import Match
from litconv.run.asked import Asked


def remembered(asked: Asked, problem: Problem, search: Callable[[], Match]) -> Match:
    path = Path(asked.settings["output_dir"], "matched", f"{asked.arm_hash}-{problem.num_classes}.json")
    if not path.exists():
        write_once(path, json.dumps(asdict(search()), indent=2).encode())
    try:
        known = json.loads(path.read_text())
        return Match(tuple(known["sizes"]), known["facts"], known["line"])
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); remove it, and the width is measured anew") from error
