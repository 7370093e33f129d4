"""A measured width is kept: every seed of an arm, and every process of a run, trains the same network.

One file an arm in `<output_dir>/matched/`; where it is removed, the next run measures anew.
"""

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from litconv import config as configuration
from litconv.errors import ConfigError
from litconv.match.report import Found
from litconv.naming import arm_hash


def remembered(config: Any, classes: int, find: Callable[[], Found]) -> Found:
    path = Path(config.output_dir, "matched", f"{arm_hash(configuration.plain(config))}-{classes}.json")
    if not path.exists():
        keep(path, find())
    try:
        known = json.loads(path.read_text())
        return Found(tuple(known["sizes"]), known["facts"], known["line"])
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); remove it, and the width is measured anew") from error


def keep(path: Path, found: Found) -> None:
    """Whole or not at all; of two processes the first one's stands."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent) as file:
        json.dump(asdict(found), file, indent=2)
        file.flush()
        try:
            os.link(file.name, path)
        except FileExistsError:
            return
