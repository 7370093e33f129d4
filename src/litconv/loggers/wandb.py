"""wandb, which needs no account: without a key, or where no network answers, the run is written offline.

A run that is resumed goes on in the same wandb run: another part in `wandb/`, with the same id. `wandb sync` uploads the
parts in order and numbers their rows through.
"""

import logging
import netrc
import os
import secrets
import shlex
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlparse

import numpy as np

from litconv.loggers.kept_ids import keep_id, kept_ids
from litconv.loggers.run_logger import LoggerOffError, one_line
from litconv.loggers.wandb_file import drop_torn_end, logged, wait_for_end

log = logging.getLogger(__name__)
STEP = "trainer/global_step"
HOSTS = ("api.wandb.ai", "api.forge.coreweave.com")  # that `wandb login` names in ~/.netrc, before and since wandb 0.31
END_SECONDS = 5.0  # for what its process has in memory; it takes milliseconds
FLUSH_SECONDS = 0.2  # what is lost at most of an offline run whose wandb process is killed; wandb's own is 15


class Wandb:
    """One wandb run for each run, in `folder/wandb`. With no key or no network it is offline.

    `resume`: go on in the wandb run of this folder's run, if there is one; else it is a run of its own.
    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str,
        group: str,
        job_type: str,
        tags: list[str],
        config: dict[str, Any],
        project: str = "litconv",
        mode: Literal["auto", "online", "offline", "disabled"] = "auto",
        timeout_seconds: float = 7.0,  # a decision within ten: its process may take two to end
        resume: bool = True,
    ) -> None:
        reason = f"logger.wandb.mode={mode}"
        if mode == "auto":
            mode, reason = automatic_mode()
        if mode == "disabled":
            raise LoggerOffError(reason)
        (folder / "wandb").mkdir(parents=True, exist_ok=True)  # wandb would go to the system's temporary folder
        import wandb

        earlier_id = kept_ids(folder).get("wandb") if resume else None
        id = earlier_id or secrets.token_hex(8)  # no two may be equal: one would go on in the other
        if resume and earlier_id is None:
            keep_id(folder, "wandb", id)
        self.parts = folder / "wandb"
        for file in self.parts.glob("offline-run-*/*.wandb") if resume else ():  # under the lock of the run
            drop_torn_end(file)
        self.offline_parts = sorted(self.parts.glob(f"offline-run-*-{id}*/*.wandb"))
        self.online_parts = sorted(self.parts.glob(f"run-*-{id}*/*.wandb"))

        def init(mode: str) -> "wandb.Run":
            run = wandb.init(
                dir=folder,
                id=id,
                resume="allow",  # also of a first part: an upload of it never writes over another one
                name=name,
                group=group,
                job_type=job_type,
                tags=[tag[:64] for tag in tags],  # wandb's limit
                config=config,
                project=project,
                mode=mode,
                settings=wandb.Settings(
                    console="off",  # it would take stdout and stderr away from the progress bar
                    init_timeout=timeout_seconds,
                    finish_timeout=60.0,  # what could not be sent by then stays on disk
                    silent=True,
                    x_transaction_log_flush_interval=FLUSH_SECONDS,
                    x_save_requirements=False,  # all packages, 0.15 s of a small run; the summary has those that matter
                    reinit="finish_previous",  # a second run in this process is a run of its own
                ),
            )
            run.define_metric(STEP)
            run.define_metric("*", step_metric=STEP, step_sync=True)
            return run

        try:
            self.run = init(mode)
        except Exception as error:
            if mode != "online":
                raise
            mode, reason = "offline", one_line(error)
            end_service(1)  # it goes on trying, and the id is in use until it ends
            self.run = init(mode)
        self.another_part = partial(init, mode)
        if mode == "offline":
            log.warning("wandb: offline (%s). To upload the run later: %s", reason, sync_command(folder))
        else:
            log.info("wandb: %s", self.run.url)

    def steps_held(self) -> set[int]:
        """What is offline can still be uploaded; of what was sent the server knows, if it can be asked."""
        parts = self.offline_parts + (self.online_parts if self.run.offline else [])
        sent = 0 if self.run.offline else self.run.summary.get(STEP, -1) + 1
        return {step for part in parts for step in logged(part, STEP)} | set(range(sent))

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        if not Path(self.run.dir).exists():  # wandb itself would write into a removed file and not notice
            raise FileNotFoundError(f"{self.run.dir} is gone")
        self.run.log({**values, STEP: step})

    def table(self, key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        import wandb

        self.run.log({key: wandb.Table(columns=list(columns), data=[list(row) for row in rows])})

    def image(self, key: str, image: np.ndarray, caption: str) -> None:
        import wandb

        self.run.log({key: wandb.Image(image, caption=caption)})

    def finish(self, exit_code: int, summary: Mapping[str, Any]) -> None:
        try:
            self.end(exit_code, summary)
        except Exception:
            end_service(exit_code)  # its process is gone; what is left here would fail again at exit
            if not self.parts.exists():
                raise
            for file in self.parts.glob(f"offline-run-*-{self.run.id}*/*.wandb"):
                drop_torn_end(file)
            self.run = self.another_part()  # Slurm's SIGTERM goes to every process of a job, that one included
            self.end(exit_code, summary)

    def end(self, exit_code: int, summary: Mapping[str, Any]) -> None:
        self.run.summary.update(summary)
        self.run.finish(exit_code=exit_code)
        # A Slurm job's processes are killed when its script ends, wandb's among them.
        wait_for_end(Path(self.run.settings.sync_file), END_SECONDS)


def end_service(exit_code: int) -> None:
    """End wandb's own process; the next run starts another."""
    with suppress(Exception, SystemExit):  # it exits where that process did not end well
        sys.modules["wandb"].teardown(exit_code)


def options_of(logger: Mapping[str, Any] | None) -> dict[str, str]:
    """Where a run of this `logger` configuration went, for another one beside it."""
    settings = (logger or {}).get("wandb") or logger or {}  # of runs from before there were several: not nested
    return {key: str(settings[key]) for key in ("project", "mode") if key in settings}


def sync_command(folder: Path) -> str:
    """The command that uploads what is offline of the run in this folder: all parts of it that are not uploaded yet."""
    return f"wandb sync {shlex.quote(os.fspath(folder / 'wandb'))}"


def automatic_mode() -> tuple[str, str]:
    """(mode, why)"""
    if mode := os.environ.get("WANDB_MODE"):
        return {"dryrun": "offline", "run": "online"}.get(mode, mode), f"WANDB_MODE={mode}"
    return ("online", "API key found") if has_key() else ("offline", "no API key: `wandb login`")


def has_key() -> bool:
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    own = os.environ.get("WANDB_BASE_URL")
    hosts = [urlparse(own).hostname or ""] if own else HOSTS
    path = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    try:
        return any(map(netrc.netrc(path).authenticators, hosts))
    except (OSError, netrc.NetrcParseError):
        return False
