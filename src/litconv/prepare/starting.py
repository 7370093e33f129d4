"""Where a training starts, the same for all arms: weights that were trained before, and a teacher. What did not fit is said."""

import logging
from contextlib import suppress
from typing import Any

from omegaconf import DictConfig

from litconv import build
from litconv.config.saved_run import load_run
from litconv.data.module import DataModule
from litconv.errors import ConfigError
from litconv.files import digest
from litconv.foreign import weights
from litconv.run import checkpoints
from litconv.run.asked import Asked
from litconv.run.card import Card
from litconv.run.finished import Finished
from litconv.run.starting_points import teacher_of, weights_of
from litconv.tasks.base import Task
from litconv.tasks.teacher import Teacher

log = logging.getLogger(__name__)


def load_weights(asked: Asked, task: Task) -> dict[str, Any]:
    """Into the model that was built. Keys of summary.json."""
    if (path := weights_of(asked)) is None:
        return {}
    loaded = weights.load(task.model, path, f"init_from={asked.config.init_from}")
    with suppress(ConfigError):  # the file may lie in no run's folder
        run = load_run(path.resolve().parent.parent / "config.yaml", [])
        say_seen(f"init_from={asked.config.init_from}", run, asked.config)
    log.info("init_from: %s", loaded.line)
    return {"init_from/loaded": loaded.line, "init_from/share": loaded.share, "init_from/digest": digest(path)}


def give_teacher(asked: Asked, task: Task, data: DataModule) -> dict[str, Any]:
    """Keys of summary.json."""
    if (run := teacher_of(asked)) is None:
        return {}
    require_alike(run, asked, data)
    say_seen(f"distill={asked.config.distill}", run.config, asked.config)
    network = build.model(run.config, data.in_channels, data.num_classes)
    prefix = "model."
    state = checkpoints.read(run.checkpoint)["state_dict"]
    state = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    if differing := checkpoints.first_difference(state, network.state_dict()):
        name, theirs, ours = differing
        raise ConfigError(
            f"distill={asked.config.distill} was trained on other classes or channels: its {name} is {theirs}, and for "
            f"these data ({data.num_classes} classes, {data.in_channels} channels) it would be {ours}; choose a teacher "
            "that was trained on them"
        )
    network.load_state_dict(state)
    task.learn_from(Teacher(network, **asked.config.distillation))
    log.info("distill: learns from %s", run.folder)
    return {"distill/teacher": run.folder.name, "distill/digest": digest(run.checkpoint)}


def say_seen(what: str, theirs: DictConfig, own: DictConfig) -> None:
    """Of a run on the same set that was split otherwise: what is held out here it has been trained on."""
    if any(theirs.data.get(key) != own.data.get(key) for key in ("_target_", "root")):
        return
    for key, default in {"folds": None, "fold": None, "split_seed": 0}.items():
        there, here = theirs.data.get(key, default), own.data.get(key, default)
        if there != here:
            log.warning(
                "%s was trained on images that this run validates or tests on (data.%s=%s there and %s here): scores are better "
                "than on new images; start from a run of the same split",
                *(what, key, "null" if there is None else there, "null" if here is None else here),
            )
            return


def require_alike(run: Finished, asked: Asked, data: DataModule) -> None:
    """The teacher is shown the student's images, and is asked for the student's classes."""
    theirs = Card.read(run.folder)
    if theirs is None:  # of an earlier version's run: shapes alone say whether it fits
        return
    own = Card.of(theirs.task, data)
    for what, taught, wanted in (
        ("classes", theirs.class_names, own.class_names),
        ("the normalisation by mean", theirs.mean, own.mean),
        ("the normalisation by std", theirs.std, own.std),
    ):
        if taught != wanted:
            raise ConfigError(
                f"distill={asked.config.distill} was trained on other data: {what} {short(taught)} there and {short(wanted)} "
                "here; choose a teacher that was trained on these data"
            )


def short(values: tuple) -> str:
    return f"{', '.join(map(str, values[:4]))}{', …' if values[4:] else ''}"
