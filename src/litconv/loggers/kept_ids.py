"""Under which id each logger knows a run. The file lies in the run's folder and is removed when training starts anew there,
so that a resumed run goes on where it was, and another attempt is a run of its own.
"""

import json
from pathlib import Path

from litconv.files import write_whole

NAME = ".loggers.json"


def kept_ids(folder: Path) -> dict[str, str]:
    try:
        ids = json.loads((folder / NAME).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return ids if isinstance(ids, dict) else {}


def keep_id(folder: Path, logger: str, id: str) -> None:
    write_whole(folder / NAME, json.dumps({**kept_ids(folder), logger: id}).encode())


def forget_ids(folder: Path) -> None:
    (folder / NAME).unlink(missing_ok=True)
