"""Where that is kept which is made once for later runs: in the user's cache folder, which machines may share.

A node that cannot write there has a folder of its own: where the home is mounted read-only, where there is none, or where
its file system knows no locks.
"""

import fcntl
import logging
import os
import stat
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

log = logging.getLogger(__name__)
OF_OTHERS = {  # variable → folder, of packages that write to the home by themselves
    "MPLCONFIGDIR": "matplotlib",
    "TRITON_CACHE_DIR": "triton",
    "WANDB_CACHE_DIR": "wandb-cache",
    "WANDB_CONFIG_DIR": "wandb-config",
    "WANDB_DATA_DIR": "wandb-data",
}


def user_folder() -> Path:
    """$XDG_CACHE_HOME, or ~/.cache; this node's own folder for a user who has no home."""
    if own := os.environ.get("XDG_CACHE_HOME"):
        return Path(own)
    try:
        return Path.home() / ".cache"
    except RuntimeError:
        return node_folder()


def folder(variable: str, name: str) -> Path:
    """$variable, where it is set; else `name` in the user's cache folder."""
    return Path(os.environ.get(variable) or user_folder() / name)


def writable(folder: Path) -> Path:
    """The folder, made where it is missing; on a node where nothing can be made in it, one of this node's own."""
    if why := why_not(folder):
        own = node_folder() / folder.name
        own.mkdir(exist_ok=True)
        _say(folder, why, own)
        return own
    return folder


def why_not(folder: Path) -> str:
    """Why this node cannot keep anything there; empty where it can."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def spare_the_home() -> None:
    """Where the user's cache folder cannot be used, other packages are sent to this node's folder; what the user has set
    stands. Before they are imported."""
    with suppress(OSError):  # then they find places for themselves
        if why_not(user_folder()):
            for variable, name in OF_OTHERS.items():
                os.environ.setdefault(variable, str(node_folder() / name))


def node_folder() -> Path:
    """In the system's temporary folder. Raises OSError where somebody else could have put anything there."""
    folder = Path(tempfile.gettempdir()) / f"litconv-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode) or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(f"{folder} can be written by others; remove it, or set TMPDIR")
    return folder


@cache
def _say(folder: Path, why: str, own: Path) -> None:
    log.warning(
        "%s cannot be used on this node (%s): what is compiled is kept in %s, for this node alone", folder, why, own
    )
