"""Where the sweeps lie: outputs/sweeps/NAME."""

import shlex
from pathlib import Path

from litconv.config.front import spelled
from litconv.errors import ConfigError, did_you_mean


def sweeps_in(root: Path) -> list[str]:
    """`root`: output_dir."""
    return sorted(p.name for p in (root / "sweeps").glob("*") if p.is_dir() and not p.name.startswith("."))


def sweep_folder(root: Path, sweep: str) -> Path:
    folder = root / "sweeps" / sweep
    if not folder.is_dir():
        there = sweeps_in(root)
        listed = ", ".join(there[:20]) or "none"
        raise ConfigError(
            f"sweep={sweep}: no such sweep in {root / 'sweeps'}{did_you_mean(sweep, there)}; there: {listed}"
        )
    return folder


def place_of(sweep: Path) -> dict[str, str]:
    """As a command line names this folder."""
    root, here = sweep.parent.parent, Path.cwd()
    root = root.relative_to(here) if root.is_relative_to(here) else root
    return {"sweep": sweep.name} | ({} if str(root) == "outputs" else {"output_dir": str(root)})


def asking(sweep: Path) -> str:
    """The command that shows how it is doing."""
    return shlex.join([*spelled("sweep"), *(f"{key}={value}" for key, value in place_of(sweep).items())])
