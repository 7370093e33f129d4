"""A measured width is kept: every seed of an arm, and every process of a run, trains the same network.

One file an arm in `<output_dir>/matched/`; where it is removed, the next run measures anew.
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from litconv.config import composed as configuration
from litconv.errors import ConfigError
from litconv.files import write_once
from litconv.match.report import Found
from litconv.run.naming import arm_hash


def remembered(config: Any, classes: int, find: Callable[[], Found]) -> Found:
    path = Path(config.output_dir, "matched", f"{arm_hash(configuration.plain(config))}-{classes}.json")
    if not path.exists():
        write_once(path, json.dumps(asdict(find()), indent=2).encode())
    try:
        known = json.loads(path.read_text())
        return Found(tuple(known["sizes"]), known["facts"], known["line"])
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); remove it, and the width is measured anew") from error
