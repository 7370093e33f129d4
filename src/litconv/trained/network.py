"""A trained network with all that is needed to use it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from litconv.data.fitting import Size, unfitted_mask
from litconv.errors import ConfigError, DataError
from litconv.run.card import Card
from litconv.trained.prediction import UNSAID, LabelPrediction, MaskPrediction, Prediction
from litconv.trained.preparing import Preparing, Source, name_of
from litconv.trained.sources import sources_of


@dataclass
class Trained:
    """`model`: an nn.Module in eval mode. `card`: its task, class names, image size, normalisation."""

    model: nn.Module
    card: Card
    folder: Path
    checkpoint: Path

    def __repr__(self) -> str:
        size = "×".join(map(str, self.card.image_size))
        params = sum(parameter.numel() for parameter in self.model.parameters())
        return (
            f"Trained({self.folder.name}: {self.card.task}, {self.card.num_classes} classes, {size}, {params:,} params)"
        )

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def to(self, device: str | torch.device) -> "Trained":
        self.model.to(device)
        return self

    def preprocess(self, image: Source) -> Tensor:
        """A file, a PIL image or an array → float32 (1, C, H, W), exactly as an image of the test split."""
        preparing = Preparing(self.card)
        return preparing.normalised(preparing.pixels(preparing.image(image))[None])

    def logits(self, images: Tensor) -> Tensor:
        """(N, C, H, W), preprocessed → float32 (N, classes), or (N, classes, H, W) of a segmentation; on the CPU."""
        with torch.inference_mode():
            return self.model(images.to(self.device)).float().cpu()

    def predict(self, images: Source | Iterable[Source], batch_size: int = 32) -> list[Prediction]:
        """For each image a LabelPrediction or, of a segmentation, a MaskPrediction.

        `images`: a file, a folder, a glob, a PIL image, a uint8 array (H, W, 3), or a list of them.
        """
        return list(self.predictions(sources_of(images), batch_size, refuse))

    def predictions(
        self, sources: Sequence[Source], batch_size: int, left_out: Callable[[str, DataError], None]
    ) -> Iterator[Prediction]:
        """One after the other; an image that cannot be read is handed to `left_out`, and the others go on."""
        if type(batch_size) is not int or batch_size < 1:
            raise ConfigError(f"batch_size={batch_size} must be a whole number, at least 1")
        preparing = Preparing(self.card)
        names: list[str] = []
        shapes: list[Size] = []
        pixels: list[Tensor] = []
        for number, source in enumerate(sources, 1):
            try:
                image = preparing.image(source)
            except DataError as error:
                left_out(name_of(source), error)
            else:
                names.append(name_of(source))
                shapes.append((image.height, image.width))
                pixels.append(preparing.pixels(image))
            if pixels and (len(pixels) == batch_size or number == len(sources)):
                logits = self.logits(preparing.normalised(torch.stack(pixels)))
                yield from self.told(logits, names, shapes)
                names, shapes, pixels = [], [], []

    def told(self, logits: Tensor, names: Sequence[str], shapes: Sequence[Size]) -> Iterator[Prediction]:
        """What the logits of a batch say of its images, which have these shapes."""
        if self.card.task == "classification":
            for name, probabilities in zip(names, logits.softmax(1).numpy(), strict=True):
                best = int(probabilities.argmax())
                label = self.card.class_names[best]
                yield LabelPrediction(
                    name, label, float(probabilities[best]), self.card.class_names, probabilities.copy()
                )
            return
        for name, ids, shape in zip(names, logits.argmax(1).numpy().astype(np.uint8), shapes, strict=True):
            mask = ids if ids.shape == shape else unfitted_mask(ids, shape, self.card.fit, UNSAID)
            yield MaskPrediction(name, self.card.class_names, mask)


def refuse(name: str, error: DataError) -> None:
    raise error
