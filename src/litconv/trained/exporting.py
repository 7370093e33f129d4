"""A finished run becomes a file, seen to compute the same on images of its test split, on the user's own, or on noise."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor

from litconv.config import composed
from litconv.errors import ConfigError, DataError
from litconv.export.exporting import export
from litconv.export.formats import Options
from litconv.export.parity import Parity
from litconv.export.preprocessing import Preprocessing
from litconv.run.card import Card
from litconv.run.data_again import read_again
from litconv.trained.network import Trained
from litconv.trained.preparing import Preparing
from litconv.trained.sources import sources_of

AT_MOST = 64  # images of the user's own


@dataclass(frozen=True)
class Seen:
    """What parity is seen on: images of a run's network, (N, C, H, W)."""

    images: Tensor
    images_of: str


def export_run(
    trained: Trained,
    config: DictConfig,
    path: Path,
    *,
    to: str,
    options: Options,
    seen: Seen,
    include_preprocessing: bool,
) -> Parity:
    model, images, card = trained.model, seen.images, trained.card
    if include_preprocessing:
        largest = 2**card.bits - 1
        model = Preprocessing(model, card.mean, card.std, largest)
        images = model.undone(images).to(torch.uint16 if card.bits == 16 else torch.uint8)
    facts = facts_of(trained, config, options)
    return export(model, images, path, to=to, options=options, facts=facts, images_of=seen.images_of)


def facts_of(trained: Trained, config: DictConfig, options: Options) -> dict[str, Any]:
    card, choices = trained.card, config.choices
    operators = {key.partition("@")[2]: value for key, value in choices.items() if key.startswith("conv@") and value}
    return {
        "task": card.task,
        "class_names": card.class_names,
        "mean": card.mean,
        "std": card.std,
        "image_size": card.image_size,
        "fit": card.fit,
        "operator": choices.conv,
        **operators,
        "backbone": choices.backbone,
        "head": choices.head,
        "run": trained.folder.name,
        "fused": options.fused,
    }


def seen_images(trained: Trained, config: DictConfig, images: int | str | list[str], data_root: str | None) -> Seen:
    """A number: so many of the test split, or of noise where the data are not there. Else files, folders, globs."""
    if not isinstance(images, int):
        files = sources_of(images)[:AT_MOST]
        preparing = Preparing(trained.card)
        pixels = torch.stack([preparing.pixels(preparing.image(file)) for file in files])
        return Seen(preparing.normalised(pixels), f"images={images}")
    if isinstance(images, bool) or images < 1:
        raise ConfigError(f"images={images} must be a number of images, at least 1, or files or folders of your own")
    if composed.takes(config.data, "download"):
        config = composed.with_values(config, {"data.download": False})
    try:
        data = read_again(config, data_root)
        x = first(images, data.test_dataloader())
    except (ConfigError, DataError, OSError):
        if data_root is not None:
            raise
        return Seen(noise(trained.card, images), "noise of seed 0, for the run's data are not there")
    return Seen(x, f"the {data.test_split} split of data={config.choices.data}")


def first(count: int, batches: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """The images (N, C, H, W); fewer, where there are no more."""
    found: list[Tensor] = []
    for images, _ in batches:
        found.append(images)
        if sum(map(len, found)) >= count:
            break
    return torch.cat(found)[:count].float().contiguous()


def noise(card: Card, count: int) -> Tensor:
    """Images (N, C, H, W) whose pixels are drawn one by one, normalised as those of photos are."""
    dtype = torch.uint16 if card.bits == 16 else torch.uint8
    shape = (count, card.in_channels, *card.image_size)
    pixels = torch.randint(0, 2**card.bits, shape, generator=torch.Generator().manual_seed(0))
    return Preparing(card).normalised(pixels.to(dtype))  # normalising asks the type what the largest value is
