"""The arms' trained networks on images spread over the test set, a batch at a time, so that memory stays small."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from litconv.compare.arms import Arm
from litconv.compare.predictions.rebuild import CANNOT_BUILD, data_of, reason, task_of
from litconv.compare.predictions.telling import Scan, image_miou, share_that_differs

SCANNED = 512  # images at most
SECONDS = 30  # at most, the batch that is begun is ended
BATCH = 16  # whatever the runs had: pictures of 512 × 512 pixels fit, too


@dataclass(frozen=True)
class Network:
    arm: Arm
    task: Any
    data: Any  # its own: normalised, sized as in its training


@dataclass(frozen=True)
class Batch:
    numbers: list[int]  # of its images in the split
    x: np.ndarray  # (N, C, H, W), of the first network
    truth: np.ndarray  # (N,), or (N, H, W)
    said: np.ndarray  # (arms, N, classes): probabilities; of segmentation (arms, N, H, W): classes


def networks(arms: Sequence[Arm], seed: int, allowed: Sequence[str]) -> tuple[list[Network], list[str]]:
    """Of the arms' runs with this seed; and why an arm has none."""
    built, notes = [], []
    sets: dict[str, Any] = {}
    for arm in arms:
        if (checkpoint := best(arm, seed)) is None:
            notes.append(f"no sample predictions of {arm.name}: seed {seed} has no best.ckpt")
            continue
        try:
            asked = str(sorted((k, str(v)) for k, v in arm.asked.items() if k.startswith(("data.", "choices.data"))))
            if asked not in sets:
                sets[asked] = data_of(checkpoint.parents[1], allowed)
                sets[asked].batch_size = BATCH
            data = sets[asked]
            if built and tested_on(data) != tested_on(built[0].data):
                notes.append(
                    f"no sample predictions of {arm.name}: it was tested on other images than {built[0].arm.name}"
                )
                continue
            built.append(Network(arm, task_of(checkpoint, data, allowed), data))
        except CANNOT_BUILD as error:
            notes.append(f"no sample predictions of {arm.name}: {reason(error)}")
    return built, notes


def tested_on(data: Any) -> tuple[Any, ...]:
    return type(data), tuple(data.class_names), data.test_split, data.sizes[data.test_split]


def best(arm: Arm, seed: int) -> Path | None:
    """The best checkpoint of the arm's run with this seed, where there is one."""
    folders = arm.runs.loc[arm.runs["seed"] == seed, "folder"]
    path = Path(folders.iloc[0]) / "checkpoints" / "best.ckpt" if len(folders) else None
    return path if path is not None and path.exists() else None


def batches(networks: Sequence[Network], wanted: Sequence[int] | None = None) -> Iterator[Batch]:
    """SCANNED images at most, in batches at equal distances over the whole set, since many a set lies in order of its
    classes; `wanted`: only these of them, by their numbers."""
    import torch

    alike = {id(n.data): n.data for n in networks}
    loaders = [data.test_dataloader() for data in alike.values()]
    apart = max(1, len(loaders[0]) // (SCANNED // BATCH))
    for number, together in enumerate(islice(zip(*loaders, strict=True), SCANNED // BATCH * apart)):
        first, size = number * BATCH, len(together[0][1])
        rows = [i for i in range(size) if wanted is None or first + i in wanted]
        if number % apart or not rows:
            continue
        given = {key: x[rows] for key, (x, _) in zip(alike, together, strict=True)}
        x, truth = given[id(networks[0].data)], together[0][1][rows].numpy()
        with torch.inference_mode():
            said = [answer(n.task(given[id(n.data)]), truth.shape) for n in networks]
        yield Batch([first + i for i in rows], x.numpy(), truth, np.stack(said))


def answer(logits: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Probabilities (N, classes), or the class of each pixel (N, H, W) at the size of the truth."""
    if len(shape) == 1:
        return logits.float().softmax(1).numpy()
    classes = logits.argmax(1).numpy()
    rows, columns = (np.arange(side) * have // side for side, have in zip(shape[1:], classes.shape[1:], strict=True))
    return classes[:, rows][:, :, columns]


def scan(networks: Sequence[Network]) -> Scan:
    """Until SCANNED images or SECONDS are through."""
    data, until = networks[0].data, monotonic() + SECONDS
    numbers, scores, apart = [], [], []
    for batch in batches(networks):
        numbers += batch.numbers
        if batch.truth.ndim == 1:
            of_truth = batch.said[:, np.arange(len(batch.truth)), batch.truth]
            scores.append(of_truth)
            apart.append(np.ptp(of_truth, 0))
        else:
            scores.append(
                np.stack([image_miou(p, batch.truth, data.num_classes, data.ignore_index) for p in batch.said])
            )
            apart.append(share_that_differs(batch.said, batch.truth, data.ignore_index))
        if monotonic() > until:
            break
    return Scan(numbers, np.concatenate(scores, 1), np.concatenate(apart))
