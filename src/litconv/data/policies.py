"""RandAugment and TrivialAugment, the operations and their strengths as torchvision has them, for images and their masks.

torchvision's own refuse masks. Of the fourteen operations five move pixels; a mask is moved along (nearest), and where
nothing comes from it is `ignore_index`. Of one seed an image becomes what torchvision makes of it, bit for bit.

RandAugment: Cubuk et al. 2019, https://arxiv.org/abs/1909.13719. TrivialAugment: Müller & Hutter 2021,
https://arxiv.org/abs/2103.10158
"""

from collections.abc import Callable
from math import atan, degrees

import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from litconv.errors import ConfigError

BINS = 31  # strengths of an operation
SHIFTS, SIGNED = ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate"), 10  # the first ten go either way
COLOURS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "Brightness": lambda image, strength: F.adjust_brightness(image, 1 + strength),
    "Color": lambda image, strength: F.adjust_saturation(image, 1 + strength),
    "Contrast": lambda image, strength: F.adjust_contrast(image, 1 + strength),
    "Sharpness": lambda image, strength: F.adjust_sharpness(image, 1 + strength),
    "Posterize": lambda image, strength: F.posterize(image, bits=int(strength)),
    "Solarize": lambda image, strength: F.solarize(image, threshold=255 * strength),
    "AutoContrast": lambda image, _: F.autocontrast(image),
    "Equalize": lambda image, _: F.equalize(image),
}


class Policy:
    """What both share: a table of operations, each with its strengths."""

    def __init__(self, ignore_index: int = -100) -> None:
        self.ignore_index = ignore_index

    def step(
        self, table: dict[str, Tensor | None], magnitude: int | None, parts: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        """One operation of the table, of this strength; None: of any."""
        number = int(torch.randint(len(table), ()))
        operation, strengths = list(table.items())[number]
        if strengths is None:
            return self.apply(operation, 0.0, parts)
        strength = float(strengths[int(torch.randint(BINS, ())) if magnitude is None else magnitude])
        is_turned = number < SIGNED and torch.rand(()) <= 0.5
        return self.apply(operation, -strength if is_turned else strength, parts)

    def apply(self, operation: str, strength: float, parts: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """To an image (C, H, W), and a mask (H, W) where there is one."""
        image, *mask = parts
        if operation in SHIFTS:
            return moved(image, operation, strength, None), *(
                moved(part[None], operation, strength, [float(self.ignore_index)])[0] for part in mask
            )
        return (COLOURS[operation](image, strength) if operation in COLOURS else image), *mask


class RandAugment(Policy):
    """`operations` random ones of the strength `magnitude`, of 0..30."""

    def __init__(self, operations: int = 2, magnitude: int = 9, ignore_index: int = -100) -> None:
        if operations < 1 or not 0 <= magnitude < BINS:
            raise ConfigError(
                f"data.rand_augment=[{operations},{magnitude}] must be how many operations, at least 1, and their strength, "
                f"0 to {BINS - 1}, such as [2,9]"
            )
        super().__init__(ignore_index)
        self.operations, self.magnitude = operations, magnitude

    def __call__(self, *parts: Tensor) -> tuple[Tensor, ...]:
        height, width = parts[0].shape[-2:]
        table = {
            "Identity": None,
            **dict.fromkeys(("ShearX", "ShearY"), torch.linspace(0.0, 0.3, BINS)),
            "TranslateX": torch.linspace(0.0, 150.0 / 331.0 * width, BINS),
            "TranslateY": torch.linspace(0.0, 150.0 / 331.0 * height, BINS),
            "Rotate": torch.linspace(0.0, 30.0, BINS),
            **dict.fromkeys(("Brightness", "Color", "Contrast", "Sharpness"), torch.linspace(0.0, 0.9, BINS)),
            **unsigned(4),
        }
        for _ in range(self.operations):
            parts = self.step(table, self.magnitude, parts)
        return parts


class TrivialAugment(Policy):
    """One random operation of a random strength, of a wide range (torchvision's TrivialAugmentWide)."""

    def __call__(self, *parts: Tensor) -> tuple[Tensor, ...]:
        table = {
            "Identity": None,
            **dict.fromkeys(("ShearX", "ShearY"), torch.linspace(0.0, 0.99, BINS)),
            **dict.fromkeys(("TranslateX", "TranslateY"), torch.linspace(0.0, 32.0, BINS)),
            "Rotate": torch.linspace(0.0, 135.0, BINS),
            **dict.fromkeys(("Brightness", "Color", "Contrast", "Sharpness"), torch.linspace(0.0, 0.99, BINS)),
            **unsigned(6),
        }
        return self.step(table, None, parts)


def unsigned(posterize: int) -> dict[str, Tensor | None]:
    """The last four. At the greatest strength `posterize` of the 8 bits are cut off."""
    bits = (8 - (torch.arange(BINS) / ((BINS - 1) / posterize))).round().int()
    return {"Posterize": bits, "Solarize": torch.linspace(1.0, 0.0, BINS), "AutoContrast": None, "Equalize": None}


def moved(image: Tensor, operation: str, strength: float, fill: list[float] | None) -> Tensor:
    """(C, H, W)"""
    nearest = {"interpolation": InterpolationMode.NEAREST, "fill": fill}
    if operation == "Rotate":
        return F.rotate(image, angle=strength, **nearest)
    along, across = (strength, 0.0) if operation.endswith("X") else (0.0, strength)
    if operation.startswith("Shear"):
        shear = [degrees(atan(along)), degrees(atan(across))]
        return F.affine(image, angle=0.0, translate=[0, 0], scale=1.0, shear=shear, center=[0, 0], **nearest)
    shift = [int(along), int(across)]
    return F.affine(image, angle=0.0, translate=shift, scale=1.0, shear=[0.0, 0.0], **nearest)
