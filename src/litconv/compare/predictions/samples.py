"""Sample predictions: the test images that tell most, and what each arm's best checkpoint makes of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from litconv.compare.arms import Arm
from litconv.compare.predictions.networks import SCANNED, SECONDS, Batch, Network, batches, best, networks, scan
from litconv.compare.predictions.pictures import images, mask
from litconv.compare.predictions.rebuild import CANNOT_BUILD, reason
from litconv.compare.predictions.telling import DISAGREE, Scan, choose, image_miou
from litconv.compare.result import Result
from litconv.data.palette import colours

COLUMNS = 10  # arms shown


@dataclass(frozen=True)
class Cell:
    """What one arm says, or the truth."""

    text: str
    mask: str | None = None  # a data: URI
    right: bool | None = None  # of a class


@dataclass(frozen=True)
class Row:
    place: int  # of the image in its split
    why: str
    image: str  # a data: URI
    size: tuple[int, int]  # width, height
    truth: Cell
    cells: list[Cell]  # one an arm


@dataclass(frozen=True)
class Samples:
    arms: list[str]
    rows: list[Row]
    legend: list[tuple[str, str]]  # class, colour; of the masks that are shown
    caption: str

    @property
    def masks(self) -> bool:
        return self.rows[0].truth.mask is not None


def sample_predictions(result: Result, count: int, allowed: Sequence[str] = ()) -> tuple[Samples | None, list[str]]:
    """None where there is nothing to show, and why. `allowed`: packages whose classes the runs may be built of."""
    if not count:
        return None, []
    shown = columns(result)
    having = {seed: sum(best(arm, seed) is not None for arm in shown) for seed in result.seeds}
    seed = max(having, key=lambda s: having[s])  # the first of those that most arms have
    if not having[seed]:
        return None, ["no sample predictions: no run has its checkpoints/best.ckpt"]
    built, notes = networks(shown, seed, allowed)
    if not built:
        return None, notes
    try:
        seen = scan(built)
        chosen = dict(choose(seen, count))
        rows = {}
        for batch in batches(built, [seen.numbers[place] for place in chosen]):
            places = [seen.numbers.index(number) for number in batch.numbers]
            rows |= dict(zip(places, rows_of(batch, places, built, seen, chosen), strict=True))
            if len(rows) == len(chosen):
                break
    except CANNOT_BUILD as error:
        return None, [*notes, f"no sample predictions: {reason(error)}"]
    data = built[0].data
    said = caption(seen, data, seed, len(result.arms) - len(built))
    ordered = [rows[place][0] for place in chosen]
    there = sorted({int(c) for place in chosen for c in rows[place][1]})
    palette = colours(data.num_classes)
    legend = [(data.class_names[c], f"rgb{tuple(palette[c].tolist())}") for c in there]
    return Samples([n.arm.name for n in built], ordered, legend, said), notes


def columns(result: Result) -> list[Arm]:
    """The best arms, and the references among them."""
    kept = [arm for arm in result.arms if arm not in result.baselines][: max(1, COLUMNS - len(result.baselines))]
    return [arm for arm in result.arms if arm in kept or arm in result.baselines][:COLUMNS]


def rows_of(
    batch: Batch, places: Sequence[int], networks: Sequence[Network], seen: Scan, chosen: dict[int, str]
) -> list[tuple[Row, set[int]]]:
    """A row an image, with the classes that its masks show."""
    data = networks[0].data
    pictures = images(batch.x, data.mean, data.std)
    made = of_masks if batch.truth.ndim == 3 else of_classes
    rows = []
    for i, (place, number) in enumerate(zip(places, batch.numbers, strict=True)):
        truth, cells, classes = made(batch.truth[i], batch.said[:, i], data)
        why = reason_of(chosen[place], seen, place, masks=batch.truth.ndim == 3)
        rows.append((Row(number, why, pictures[i], batch.x.shape[:1:-1], truth, cells), classes))
    return rows


def of_classes(truth: np.ndarray, said: np.ndarray, data: Any) -> tuple[Cell, list[Cell], set[int]]:
    cells = []
    for probabilities in said:
        top = int(probabilities.argmax())
        cells.append(Cell(f"{data.class_names[top]} {probabilities[top]:.2f}", right=top == int(truth)))
    return Cell(data.class_names[int(truth)]), cells, set()


def of_masks(truth: np.ndarray, said: np.ndarray, data: Any) -> tuple[Cell, list[Cell], set[int]]:
    palette, ignored = colours(data.num_classes), data.ignore_index
    background = 0 if data.class_names[0] == "background" else None
    scores = [image_miou(one[None], truth[None], data.num_classes, ignored)[0] for one in said]
    cells = [
        Cell(f"mIoU {score:.2f}", mask(one, palette, ignored, background))
        for one, score in zip(said, scores, strict=True)
    ]
    return (
        Cell("", mask(truth, palette, ignored, background)),
        cells,
        {*np.unique(truth[truth != ignored]), *np.unique(said)},
    )


def reason_of(why: str, seen: Scan, place: int, masks: bool) -> str:
    """Why an image was chosen, with the figure by which it was."""
    scores, apart = seen.scores[:, place], seen.apart[place]
    if why == DISAGREE:
        span = f"{scores.min():.2f} to {scores.max():.2f}"
        return f"{why} in {100 * apart:.0f} % of the pixels" if masks else f"{why}: {span} for the true class"
    what = "mIoU" if masks else "probability of the true class"
    return f"{why}: mean {what} {scores.mean():.2f}"


def caption(seen: Scan, data: Any, seed: int, left_out: int) -> str:
    size, split = data.sizes[data.test_split], data.test_split
    among = f"all {size}" if seen.images == size else f"{seen.images} of {size}"
    spread = "" if seen.images == size else ", spread over it"
    stopped = f" (it ends after {SECONDS} seconds)" if seen.images < min(size, SCANNED) else ""
    said = (
        f"Chosen among {among} images of the {split} split{spread}{stopped}: half of them where the arms disagree most, the "
        f"others the worst and the best by the mean over the arms. Each arm's best checkpoint of seed {seed}."
    )
    return said + (f" {left_out} arm{'s are' if left_out > 1 else ' is'} not shown." if left_out else "")
