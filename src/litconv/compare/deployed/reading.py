"""A run's deployed.json, as keys that stand beside those of its summary.json."""

import json
from pathlib import Path
from typing import Any

from litconv.cost.deployed_keys import place_of

UNREADABLE = "deploy/unreadable"  # the key that says what is wrong with the file
ABOUT = ("threads", "processor", "batch", "versions", "disturbed")


def deployed_figures(folder: Path) -> dict[str, Any]:
    """Empty where there is no such file."""
    try:
        written = json.loads((folder / "deployed.json").read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        return {UNREADABLE: f"deployed.json: {' '.join(str(error).split())[:120]}"}
    if not isinstance(written, dict) or not isinstance(written.get("figures"), dict):
        return {UNREADABLE: "deployed.json is not that of a litconv run: it has no figures"}
    about = {f"deploy/{key}": written[key] for key in ABOUT if key in written}
    return about | {key: value for key, value in written["figures"].items() if place_of(key)}
