"""Predictions as files: labels as one CSV or JSON, masks as PNGs in a folder."""

import csv
import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from litconv.data.palette import colours
from litconv.errors import ConfigError, DataError
from litconv.files import local, write_whole
from litconv.trained.network import Trained
from litconv.trained.prediction import UNSAID, LabelPrediction, MaskPrediction
from litconv.trained.preparing import Preparing

PLACE = Path("outputs", "predictions")


class Writer:
    """Counts what is predicted and names what is left out."""

    out: Path

    def __init__(self, trained: Trained) -> None:
        self.trained, self.said = trained, 0
        self.left_out: list[dict[str, str]] = []

    def leave_out(self, name: str, error: DataError) -> None:
        self.left_out.append({"file": name, "reason": str(error)})
        print(f"left out: {error}", file=sys.stderr)


class LabelWriter(Writer):
    """`top` labels an image, written in the end."""

    def __init__(self, trained: Trained, out: Path, top: int) -> None:
        super().__init__(trained)
        self.out, self.top = out, min(top, trained.card.num_classes)
        self.rows: list[tuple[str, list[tuple[str, float]]]] = []

    def write(self, prediction: LabelPrediction) -> str:
        self.said += 1
        self.rows.append((prediction.file, prediction.top(self.top)))
        return f"{prediction.file}  " + ", ".join(f"{label} {share:.4f}" for label, share in self.rows[-1][1])

    def finish(self) -> None:
        self.out.parent.mkdir(parents=True, exist_ok=True)
        text = self.as_json() if self.out.suffix == ".json" else self.as_csv()
        write_whole(self.out, text.encode())

    def as_csv(self) -> str:
        """file, label, probability; of the next ones label_2, probability_2, …"""
        text = io.StringIO(newline="")
        numbers = ["", *(f"_{place}" for place in range(2, self.top + 1))]
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["file", *(f"{name}{number}" for number in numbers for name in ("label", "probability"))])
        for file, top in self.rows:
            table.writerow([file, *(cell for label, share in top for cell in (label, f"{share:.6f}"))])
        return text.getvalue()

    def as_json(self) -> str:
        predictions = [
            {
                "file": file,
                "label": top[0][0],
                "probability": round(top[0][1], 6),
                **(
                    {"top": [{"label": label, "probability": round(share, 6)} for label, share in top]}
                    if self.top > 1
                    else {}
                ),
            }
            for file, top in self.rows
        ]
        facts = {"run": str(self.trained.folder), "checkpoint": self.trained.checkpoint.name}
        return json.dumps(
            {**facts, "predictions": predictions, "left_out": self.left_out}, indent=2, ensure_ascii=False
        )


class MaskWriter(Writer):
    """Of each image ids/NAME.png, the numbers of the classes, and painted/NAME.png, their colours; maybe overlay/NAME.png."""

    def __init__(self, trained: Trained, out: Path, files: Sequence[str], overlay: bool) -> None:
        super().__init__(trained)
        self.out, self.overlay = out, overlay
        self.names = names_of(files)
        own = trained.card.class_colours
        self.palette = np.array(own, np.uint8) if own else colours(trained.card.num_classes)

    def write(self, prediction: MaskPrediction) -> str:
        self.said += 1
        name, painted = self.names[prediction.file], self.painted(prediction.mask)
        self.save("ids", name, Image.fromarray(prediction.mask))
        self.save("painted", name, Image.fromarray(painted))
        if self.overlay:
            photo = in_rgb(Preparing(self.trained.card).image(prediction.file))
            self.save("overlay", name, Image.blend(photo, Image.fromarray(painted), 0.5))
        shares = sorted(prediction.shares().items(), key=lambda pair: -pair[1])
        more = ", …" if len(shares) > 4 else ""
        return f"{prediction.file}  " + ", ".join(f"{label} {share:.1%}" for label, share in shares[:4]) + more

    def painted(self, mask: np.ndarray) -> np.ndarray:
        """(H, W, 3); what was cut off is black."""
        made = self.palette[np.minimum(mask, len(self.palette) - 1)]
        made[mask == UNSAID] = 0
        return made

    def save(self, kind: str, name: str, image: Image.Image) -> None:
        path, file = self.out / kind / name, io.BytesIO()
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(file, "PNG")
        write_whole(path, file.getvalue())

    def finish(self) -> None:
        """classes.txt, as data=mask_folder reads it, for masks of ids (ids/) and of colours (painted/)."""
        rows = zip(self.trained.card.class_names, self.palette.tolist(), strict=True)
        lines = ["# the first class is 0 in ids/; the colours are those of painted/"]
        lines += [f"{name} {red} {green} {blue}" for name, (red, green, blue) in rows]
        write_whole(self.out / "classes.txt", ("\n".join(lines) + "\n").encode())


def names_of(files: Sequence[str]) -> dict[str, str]:
    """Where the mask of each file lies: as the file does below the folder that all have in common."""
    whole = [os.path.abspath(file) for file in files]  # noqa: PTH100 - a link is not followed
    common = os.path.commonpath([os.path.dirname(path) for path in whole])  # noqa: PTH120
    names: dict[str, str] = {}
    taken: set[Path] = set()
    for file, path in zip(files, whole, strict=True):
        below = Path(os.path.relpath(path, common))
        name = below.with_suffix(".png")
        if file not in names and name in taken:  # beside one that differs in its ending alone
            name = below.with_name(f"{below.name}.png")
        names.setdefault(file, name.as_posix())
        taken.add(name)
    return names


def in_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image.convert("RGB")


def writer_of(trained: Trained, files: Sequence[str], out: Any, top: Any, overlay: Any) -> LabelWriter | MaskWriter:
    """By the run's task; what has no effect for it is refused."""
    if type(top) is not int or top < 1:
        raise ConfigError(f"top={top} must be a whole number, at least 1")
    if type(overlay) is not bool:
        raise ConfigError(f"overlay={overlay} must be true or false")
    place = PLACE / trained.folder.resolve().name if out is None else local(str(out), "out").expanduser()
    if trained.card.task == "segmentation":
        if top > 1:
            raise ConfigError(
                f"top={top} has no effect: {trained.folder} is a segmentation, whose pixels have one class each; remove it"
            )
        if place.exists() and not place.is_dir():
            raise ConfigError(f"out={out} is a file; masks are written into a folder")
        if place.suffix in (".csv", ".json") and not place.exists():
            raise ConfigError(f"out={out} must be a folder: {trained.folder} is a segmentation, whose masks are images")
        return MaskWriter(trained, place, files, overlay)
    if overlay:
        raise ConfigError(
            f"overlay=true has no effect: {trained.folder} is a classification, which has no masks; remove it"
        )
    path = place.with_name(f"{place.name}.csv") if out is None else place
    if path.suffix not in (".csv", ".json") or path.is_dir():
        raise ConfigError(f"out={out} must be a file that ends in .csv or .json: {trained.folder} is a classification")
    return LabelWriter(trained, path, top)
