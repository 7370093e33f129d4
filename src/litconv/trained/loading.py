"""`litconv.load`: a run's network with its best weights, as its folder has them."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from os import PathLike
from pathlib import Path

import torch
from omegaconf import DictConfig
from torch import nn

from litconv import build
from litconv.config import composed
from litconv.errors import ConfigError, DataError
from litconv.run.card import FILE, Card
from litconv.run.checkpoints import load_into, read
from litconv.run.data_again import read_again
from litconv.run.finished import Finished, opened
from litconv.trained.network import Trained

log = logging.getLogger(__name__)


def load(
    run: str | PathLike[str],
    *,
    checkpoint: str = "best.ckpt",
    allowed_packages: Sequence[str] = (),
    data_root: str | PathLike[str] | None = None,
) -> Trained:
    """The network of a finished run, in eval mode, on the CPU.

    `run`: the run's folder, its name below outputs/, or the path of one of its checkpoints. `allowed_packages`: of your own,
    whose classes a run that somebody else made may be built of. `data_root`: where the data of a run lie that has no
    card.json, if they were moved since; other runs need no data.
    """
    found = opened(Path(run).expanduser(), checkpoint, allowed_packages, "load")
    weights = read(found.checkpoint)
    card = Card.read(found.folder)
    kept = card is not None
    if card is None:
        card = made_of_data(found, None if data_root is None else str(Path(data_root).expanduser()))
    holder = nn.Module()
    holder.model = untrained(found.config, card)
    states = {key: value for key, value in weights["state_dict"].items() if key.startswith("model.")}
    load_into(holder, weights | {"state_dict": states}, found.checkpoint)
    if not kept:
        keep(card, found.folder)
    return Trained(holder.model.eval(), card, found.folder, found.checkpoint)


def untrained(config: DictConfig, card: Card) -> nn.Module:
    """The network of a configuration, with weights as they happen to be drawn."""
    with torch.random.fork_rng([]):
        model = build.assemble(config, card.in_channels, card.num_classes)
    return model.to(memory_format=build.memory_format(config))


def made_of_data(found: Finished, data_root: str | None) -> Card:
    """Of a run of an earlier version."""
    try:
        data = read_again(found.config, data_root)
    except (ConfigError, DataError) as error:
        raise type(error)(
            f"{found.folder} has no {FILE}, which runs of this version write and older ones get from their data, and those "
            f"cannot be read: {error}"
        ) from error
    return Card.of(composed.declared(found.config.task).constants["name"], data)


def keep(card: Card, folder: Path) -> None:
    """From now on the data may go; where the folder cannot be written, they are read the next time, too."""
    with suppress(OSError):
        card.write(folder)
        log.info("%s: written from the run's data, which it does not need for predictions any more", folder / FILE)
