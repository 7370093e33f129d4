"""A run's folder: one process at a time writes it, and whatever happens it ends with a true summary.json."""

import csv
import io
import logging
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytorch_lightning.utilities import rank_zero_only

from litconv import files, secrets, signals
from litconv.errors import DataError, LostProcessError, TrainingError
from litconv.loggers.kept_ids import forget_ids
from litconv.run import checkpoints, own_runs, state
from litconv.run.asked import Asked
from litconv.run.card import Card
from litconv.run.log_file import LogFile
from litconv.run.summary import details, objectives, table, write_summary

log = logging.getLogger("litconv")
RESERVED_BYTES = 2**18  # given back before the summary is written, so that a full disk still takes it


class RunFolder:
    """`with RunFolder(path) as folder:` locks and opens the folder; leaving it writes `folder.summary` with its status.

    `completed` if the block ended, `interrupted` for Ctrl-C and SIGTERM (exit status 130 and 143) and, with the error, for a
    full disk (1), `failed` with the error for everything else. Then each of `at_end` is called with the exit code.
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
        if self.previous_status not in ("interrupted", "failed") or not last.exists():
            return None
        try:
            checkpoints.read(last)
            checkpoints.read(self.best)
        except DataError as error:
            log.warning("%s; training starts anew", error)
            return None
        return last

    @property
    def best(self) -> Path:
        return self.path / "checkpoints" / "best.ckpt"

    def is_wanted(self, asked: Asked) -> bool:
        """Whether this is to be trained: a run alone always, a point of a sweep by what became of it before."""
        if asked.settings["sweep"] is None or state.is_wanted(self.previous_status, asked.config.rerun):
            return True
        if rank_zero_only.rank == 0:
            print(f"{asked.name}: {self.previous_status} before in this sweep; not trained again")
        return False

    def record(self, facts: Mapping[str, Any]) -> None:
        """Keys of summary.json, as soon as they are known."""
        self.summary |= facts

    def report(self, with_details: bool) -> tuple[float, float] | None:
        """Print what became of the run that was trained here; returns what a search goes by."""
        if "status" not in self.summary:  # it was not wanted: an earlier one's figures count
            return objectives(state.read_summary(self.path))
        if rank_zero_only.rank == 0:
            print(f"{self.path}\n{(details if with_details else table)(self.summary)}")
            for warning in self.summary.get("warnings", []):
                print(f"warning: {warning}")
        return objectives(self.summary)

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
        if rank_zero_only.rank == 0:  # the other processes of a DDP run write nothing
            self.lock = state.lock(self.path)
        signals.of_run.install()
        return self

    def open(self, config_yaml: str) -> Path | None:
        """Make the folder ready to be written; returns the checkpoint to resume from, if any."""
        resume = self.resume_from
        if rank_zero_only.rank != 0:
            return resume
        if self.previous_status == "completed":
            self.keep_aside()
        self.path.mkdir(exist_ok=True)
        if resume is None:
            forget_ids(self.path)
        (self.path / "summary.json").unlink(
            missing_ok=True
        )  # of the run that is taken up: a kill would leave it standing
        files.remove_unfinished(self.path)
        files.remove_unfinished(self.path / "checkpoints")
        self.write_config(config_yaml)
        self.handler = LogFile(self.path / "train.log")
        logging.getLogger().addHandler(self.handler)
        self.reserve = self.path / f".reserve{files.UNFINISHED}"
        files.reserve(self.reserve, RESERVED_BYTES)
        self.started = time.time()
        return resume

    def write_config(self, config_yaml: str) -> None:
        if rank_zero_only.rank == 0:
            files.write_whole(self.path / "config.yaml", config_yaml.encode())
            own_runs.remember(config_yaml)

    def write_card(self, card: Card) -> None:
        if rank_zero_only.rank == 0:
            card.write(self.path)

    def write_table(self, name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        if rank_zero_only.rank == 0:
            text = io.StringIO(newline="")
            csv.writer(text).writerows([columns, *rows])
            files.write_whole(self.path / name, text.getvalue().encode())

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        with signals.of_run.held():  # what the status stands for is decided here
            status = signals.exit_status(error)
            if status is None and error is not None and signals.of_run.received is not None:
                status = 128 + signals.of_run.received  # the error came of the signal: a reading process that it ended
            if isinstance(error, SystemExit) and status is None:
                error = TrainingError(f"sys.exit({error.code}) was called during the run, which thus did not complete")
            try:
                if hasattr(self, "handler"):
                    self.close(error, status)
            finally:
                if hasattr(self, "lock"):
                    self.lock.close()
                signals.of_run.forget()
                signals.of_run.restore()
        if status:
            raise SystemExit(status) from error
        if kind is SystemExit:
            raise error

    def close(self, error: BaseException | None, signal_status: int | None) -> None:
        if error is None:
            status, code = "completed", 0
        elif signal_status:
            status, code = "interrupted", signal_status
            if isinstance(error, LostProcessError):  # what ended it may have ended this one, too
                self.summary["error"] = said(error)
                log.warning("%s", error)
        else:
            status, code = "interrupted" if files.of_full_disk(error) else "failed", 1
            self.summary["error"] = said(error)
            log.debug("%s", "".join(traceback.format_exception(error)))
        self.summary = {"status": status, **self.summary}
        self.reserve.unlink(missing_ok=True)
        try:
            write_summary(self.path / "summary.json", self.summary)
        finally:
            self.finish(code)
            logging.getLogger().removeHandler(self.handler)
            self.handler.close()

    def finish(self, code: int) -> None:
        """Other loggers may wait for a network; a signal ends the waiting, and the status stands."""
        signals.of_run.forget()
        with signals.of_run.released():
            for finish in self.at_end:
                try:
                    finish(code, self.summary)
                except KeyboardInterrupt:
                    log.warning("interrupted while a logger was closed; the run is %s", self.summary["status"])


def said(error: BaseException) -> str:
    return secrets.masked(f"{type(error).__name__}: {' '.join(str(error).split())}")
