"""Which config.yaml were written by this user's own runs, so that `allowed_packages` of theirs may be believed.

A run's folder can be somebody else's, whoever owns its files now: an unpacked archive belongs to who unpacked it. So
nothing inside the folder is proof. The proof is a file named by the hash of the whole config.yaml in a folder of the
user's that nobody else may write to: what stands there, word for word, has been run here before by this user.
"""

import hashlib
import os
import stat
from contextlib import suppress
from pathlib import Path

import yaml

NOWHERE = OSError, RuntimeError  # Path.home()'s, of a user without a home


def place() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "litconv" / "own_runs"


def remember(config_yaml: str) -> None:
    """Of a run that names packages of its own; where this cannot be written they must be named again."""
    if not yaml.safe_load(config_yaml).get("allowed_packages"):
        return
    with suppress(*NOWHERE):
        place().mkdir(mode=0o700, parents=True, exist_ok=True)
        mark(config_yaml).touch(mode=0o600)


def packages_of(path: Path) -> list[str]:
    """What the run of this config.yaml allowed, if it was this user's own; else nothing."""
    config_yaml = path.read_bytes().decode(errors="replace")
    return list(yaml.safe_load(config_yaml)["allowed_packages"]) if is_own(config_yaml) else []


def is_own(config_yaml: str) -> bool:
    try:
        folder, file = place().stat(), mark(config_yaml).stat()
    except NOWHERE:
        return False
    others = stat.S_IWGRP | stat.S_IWOTH
    return folder.st_uid == file.st_uid == os.getuid() and not folder.st_mode & others


def mark(config_yaml: str) -> Path:
    return place() / hashlib.sha256(config_yaml.encode()).hexdigest()
