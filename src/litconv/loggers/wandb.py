"""wandb, which needs no account: without a key, or where no network answers, the run is written offline."""

import logging
import netrc
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlparse

import numpy as np

from litconv.loggers.run_logger import LoggerOffError, one_line
from litconv.loggers.wandb_file import wait_for_end

log = logging.getLogger(__name__)
STEP = "trainer/global_step"
END_SECONDS = 5.0  # for what its process has in memory; it takes milliseconds


class Wandb:
    """One wandb run for each run, in `folder/wandb`. With no key or no network it is offline."""

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
        timeout_seconds: float = 9.0,  # a decision within ten
    ) -> None:
        reason = f"logger.wandb.mode={mode}"
        if mode == "auto":
            mode, reason = automatic_mode()
        if mode == "disabled":
            raise LoggerOffError(reason)
        (folder / "wandb").mkdir(parents=True, exist_ok=True)  # wandb would go to the system's temporary folder
        import wandb

        def init(mode: str) -> "wandb.Run":
            run = wandb.init(
                dir=folder,
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
            self.run = init(mode)
        if mode == "offline":
            log.warning("wandb: offline (%s). To upload the run later: %s", reason, sync_command(folder))
        else:
            log.info("wandb: %s", self.run.url)

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
            self.run.summary.update(summary)
            self.run.finish(exit_code=exit_code)
        except Exception:
            with suppress(Exception):  # its process is gone; this ends what would otherwise fail again at exit
                sys.modules["wandb"].teardown(exit_code)
            raise
        # A Slurm job's processes are killed when its script ends, wandb's among them.
        wait_for_end(Path(self.run.settings.sync_file), END_SECONDS)


def options_of(logger: Mapping[str, Any] | None) -> dict[str, str]:
    """Where a run of this `logger` configuration went, for another one beside it."""
    settings = (logger or {}).get("wandb") or logger or {}  # of runs from before there were several: not nested
    return {key: str(settings[key]) for key in ("project", "mode") if key in settings}


def sync_command(folder: Path) -> str:
    """The command that uploads the latest offline run of this folder."""
    runs = sorted((folder / "wandb").glob("offline-run-*"), key=lambda path: path.stat().st_mtime)
    return f"wandb sync {shlex.quote(os.fspath(runs[-1] if runs else folder / 'wandb'))}"


def automatic_mode() -> tuple[str, str]:
    """(mode, why)"""
    if mode := os.environ.get("WANDB_MODE"):
        return {"dryrun": "offline", "run": "online"}.get(mode, mode), f"WANDB_MODE={mode}"
    return ("online", "API key found") if has_key() else ("offline", "no API key: `wandb login`")


def has_key() -> bool:
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    path = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    try:
        return netrc.netrc(path).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
