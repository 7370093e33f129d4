"""card.json: what one must know to use a run's network on new images, where its data are no longer there.

Written by every run as soon as its data are read. It holds no code: reading somebody else's is safe.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from litconv.data.class_list import Colour
from litconv.data.fitting import Fit, Resampling
from litconv.data.module import DataModule
from litconv.errors import ConfigError
from litconv.files import write_whole

FILE = "card.json"
FORMAT = 1  # of the file; another one is refused


@dataclass(frozen=True, kw_only=True)
class Card:
    task: Literal["classification", "segmentation"]
    class_names: tuple[str, ...]  # in the order of the logits
    class_colours: tuple[Colour, ...]  # of masks of colours; empty: the set has none
    ignore_index: int  # in masks; −100: none
    in_channels: int  # 1: grey, 3: RGB
    bits: int  # of a value of an image: 8, or 16 of grey ones
    image_size: tuple[int, int]  # (H, W) in pixels
    fit: Fit  # how an image of another shape is brought to it
    resampling: Resampling
    mean: tuple[float, ...]  # a channel, of values in 0..1
    std: tuple[float, ...]

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def dtype(self) -> type:
        """Of an image's values, as it is read."""
        return np.uint16 if self.bits == 16 else np.uint8

    @classmethod
    def of(cls, task: str, data: DataModule) -> "Card":
        """`data` has been set up."""
        return cls(
            task=task,
            class_names=tuple(data.class_names),
            class_colours=data.class_colours,
            ignore_index=data.ignore_index,
            in_channels=data.in_channels,
            bits=16 if data.dtype in (np.uint16, torch.uint16) else 8,
            image_size=tuple(data.image_size),
            fit=data.fit or "stretch",
            resampling=data.resampling,
            mean=data.mean,
            std=data.std,
        )

    def write(self, folder: Path) -> None:
        """Whole or not at all."""
        facts = {"format": FORMAT, **asdict(self), "num_classes": self.num_classes}
        write_whole(folder / FILE, (json.dumps(facts, indent=2, ensure_ascii=False) + "\n").encode())

    @classmethod
    def read(cls, folder: Path) -> "Card | None":
        """None where there is none: of an earlier version's run."""
        path = folder / FILE
        if not path.exists():
            return None
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
            if facts["format"] != FORMAT:
                raise ConfigError(
                    f"{path} is of format {facts['format']}, and this litconv reads {FORMAT}; update litconv"
                )
            card = cls(**{key: as_tuple(facts[key]) for key in cls.__dataclass_fields__})
            card.check()
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            if isinstance(error, ConfigError):
                raise
            reason = f"it lacks {error}" if isinstance(error, KeyError) else " ".join(str(error).split())[:120]
            raise ConfigError(
                f"{path} cannot be read ({reason}); remove it, and it is made anew from the run's data, where they are"
            ) from error
        return card

    def check(self) -> None:
        """What would be wrong only later, and less clearly."""
        if self.task not in ("classification", "segmentation"):
            raise ValueError(f"its task is {self.task}")
        if not all(isinstance(name, str) for name in self.class_names) or self.num_classes < 2:
            raise ValueError(f"its class_names are {list(self.class_names)}")
        if self.fit not in ("stretch", "crop", "letterbox") or self.resampling not in ("pillow", "torch"):
            raise ValueError(f"its fit is {self.fit} by {self.resampling}")
        if (self.in_channels, self.bits) not in ((1, 8), (3, 8), (1, 16)):
            raise ValueError(f"its images have {self.in_channels} channels of {self.bits} bits")
        if len(self.image_size) != 2 or not all(type(side) is int and side > 0 for side in self.image_size):
            raise ValueError(f"its image_size is {list(self.image_size)}")
        if not len(self.mean) == len(self.std) == self.in_channels or min(self.std) <= 0:
            raise ValueError(f"its mean is {list(self.mean)} and its std {list(self.std)}")
        if self.class_colours and len(self.class_colours) != self.num_classes:
            raise ValueError(f"it has {len(self.class_colours)} colours for {self.num_classes} classes")


def as_tuple(value: Any) -> Any:
    """JSON's lists, at any depth."""
    return tuple(map(as_tuple, value)) if isinstance(value, list) else value
