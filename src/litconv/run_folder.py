"""A run's folder: one process at a time writes it, and whatever happens it ends with a true summary.json."""

import logging
import pickle
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.utilities import rank_zero_only
from pytorch_lightning.utilities.exceptions import SIGTERMException

from litconv import state
from litconv.summary import write_summary

log = logging.getLogger("litconv")


class RunFolder:
    """`with RunFolder(path) as folder:` locks and opens the folder; leaving it writes `folder.summary` with its status.

    `completed` if the block ended, `interrupted` for Ctrl-C, `failed` with the error for everything else. Then each of
    `at_end` is called with the exit code.
    """

    def __init__(self, path: Path, facts: dict[str, Any]) -> None:
        self.path = path
        self.summary: dict[str, Any] = dict(facts)
        self.at_end: list[Callable[[int, dict[str, Any]], None]] = []

    @property
    def previous_status(self) -> str | None:
        """What an earlier run here came to; None where there was none."""
        return state.status(self.path)

    @property
    def resume_from(self) -> Path | None:
        """The checkpoint to go on from, if the earlier run was cut short."""
        last = self.path / "checkpoints" / "last.ckpt"
        if self.previous_status not in ("interrupted", "failed") or not last.exists() or not self.best.exists():
            return None
        try:
            torch.load(last, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, LookupError, EOFError, pickle.UnpicklingError) as error:
            log.warning("%s cannot be read (%s); training starts anew", last, " ".join(str(error).split())[:80])
            return None
        return last

    @property
    def best(self) -> Path:
        return self.path / "checkpoints" / "best.ckpt"

    def keep_aside(self) -> None:
        """Move a completed run out of the way."""
        number = 1
        folder = self.path.parent / "aside"
        while (aside := folder / f"{self.path.name}.{number}").exists():
            number += 1
        folder.mkdir(exist_ok=True)
        self.path.rename(aside)
        print(f"a completed run was here; kept as {aside}")

    def __enter__(self) -> "RunFolder":
        if rank_zero_only.rank != 0:  # the other processes of a DDP run write nothing
            return self
        self.lock = state.lock(self.path)
        return self

    def open(self, config_yaml: str) -> Path | None:
        """Make the folder ready to be written; returns the checkpoint to resume from, if any."""
        resume = self.resume_from
        if rank_zero_only.rank != 0:
            return resume
        if self.previous_status == "completed":
            self.keep_aside()
        self.path.mkdir(exist_ok=True)
        (self.path / "config.yaml").write_text(config_yaml)
        handler = logging.FileHandler(self.path / "train.log")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logging.getLogger().addHandler(handler)
        self.handler = handler
        self.started = time.time()
        return resume

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        if hasattr(self, "handler"):
            self.close(error)
        if hasattr(self, "lock"):
            self.lock.close()
        if status := signal_status(error):
            raise SystemExit(status) from error

    def close(self, error: BaseException | None) -> None:
        if error is None:
            status, code = "completed", 0
        elif code := signal_status(error):
            status = "interrupted"
        else:
            status, code = "failed", 1
            self.summary["error"] = f"{type(error).__name__}: {' '.join(str(error).split())}"
            log.debug("%s", "".join(traceback.format_exception(error)))
        self.summary = {"status": status, **self.summary}
        write_summary(self.path / "summary.json", self.summary)
        for finish in self.at_end:
            finish(code, self.summary)
        logging.getLogger().removeHandler(self.handler)
        self.handler.close()


def signal_status(error: BaseException | None) -> int | None:
    """130 where Ctrl-C stands behind an error, 143 where SIGTERM does: Lightning turns both into exit status 1."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return 130
        if isinstance(error, SIGTERMException):
            return 143
        error = error.__cause__ or error.__context__
    return None
