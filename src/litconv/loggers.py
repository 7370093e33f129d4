"""wandb, which can never hurt a run: whatever fails in it costs one line of warning. metrics.csv is the local truth."""

import logging
import netrc
import os
import shlex
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlparse

from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.utilities import rank_zero_only

from litconv.errors import ConfigError
from litconv.secrets import masked

log = logging.getLogger(__name__)


class SafeWandbLogger(WandbLogger):
    """Lightning's logger on a run that exists already; an error while logging ends the logging, not the training."""

    broken = False

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        if self.broken:
            return
        try:
            if not Path(self.experiment.dir).exists():  # wandb itself would write into a removed file and not notice
                raise FileNotFoundError(f"{self.experiment.dir} is gone")
            super().log_metrics(metrics, step)
        except Exception as error:
            self.broken = True
            log.warning("wandb: logging stopped (%s); the training and metrics.csv go on", _one_line(error))


def make_wandb(
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
) -> SafeWandbLogger | None:
    """A logger whose run exists already, in `folder/wandb`; None if wandb is off or fails. With no network: offline."""
    if mode not in ("auto", "online", "offline", "disabled"):
        raise ConfigError(f"logger.mode={mode} is unknown; choose auto, online, offline or disabled")
    if rank_zero_only.rank != 0:
        return None
    reason = "logger.mode"
    if mode == "auto":
        mode, reason = _automatic_mode()
    if mode == "disabled":
        return None
    attempts = ["online", "offline"] if mode == "online" else [mode]
    run = None
    for mode in attempts:
        try:
            (folder / "wandb").mkdir(parents=True, exist_ok=True)  # wandb would go to the system's temporary folder
            import wandb  # here: a broken installation must not stop a run

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
            run.define_metric("trainer/global_step")
            run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
            break
        except Exception as error:
            reason = _one_line(error)
    if run is None:
        log.warning("wandb: off for this run (%s)", reason)
        return None
    if mode == "offline":
        log.warning("wandb: offline (%s). To upload the run later: %s", reason, sync_command(folder))
    else:
        log.info("wandb: %s", run.url)
    return SafeWandbLogger(experiment=run, project=project, save_dir=folder, name=name)


def csv_only(folder: Path, *, name: str, group: str, job_type: str, tags: list[str], config: dict[str, Any]) -> None:
    """No logger: metrics.csv is a callback that every run has."""


@rank_zero_only
def log_table(logger: SafeWandbLogger | None, key: str, columns: list[str], rows: list[list[Any]]) -> None:
    """A wandb.Table of its own step."""
    if logger is None:
        return
    try:
        logger.log_table(key, columns=columns, data=rows)
    except Exception as error:
        log.warning("wandb: %s was not logged (%s); the training goes on", key, _one_line(error))


def finish_wandb(logger: SafeWandbLogger | None, exit_code: int, summary: dict[str, Any]) -> None:
    """Write the summary and close the run with its true exit code."""
    if logger is None:
        return
    try:
        logger.experiment.summary.update(summary)
        logger.experiment.finish(exit_code=exit_code)
    except Exception as error:
        log.warning("wandb: the run was not closed (%s); summary.json is complete", _one_line(error))
        with suppress(Exception):  # its process is gone; this ends what would otherwise fail again at exit
            sys.modules["wandb"].teardown(exit_code)


def sync_command(folder: Path) -> str:
    """The command that uploads the latest offline run of this folder."""
    runs = sorted((folder / "wandb").glob("offline-run-*"), key=lambda path: path.stat().st_mtime)
    return f"wandb sync {shlex.quote(os.fspath(runs[-1] if runs else folder / 'wandb'))}"


def _automatic_mode() -> tuple[str, str]:
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


def _one_line(error: BaseException) -> str:
    return masked(f"{type(error).__name__}: {' '.join(str(error).split())}"[:300])
