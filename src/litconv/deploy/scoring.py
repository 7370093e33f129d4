"""How good a network is where it is deployed: the task's own metrics, computed from what a runtime answers."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from litconv.build.testing import tester
from litconv.cost.deployed_keys import Place
from litconv.data.module import DataModule
from litconv.prepare.threads import most
from litconv.runtimes import Session, opened
from litconv.runtimes.files import Files
from litconv.tasks.base import Task


class Answering(nn.Module):
    """A session in a network's place."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session

    def forward(self, images: Tensor) -> Tensor:
        return torch.from_numpy(self.session(images.contiguous().numpy()))


def scores(task: Task, data: DataModule, files: Files) -> dict[str, float]:
    """Of the test split, or of what stands for it, by keys of deployed.json. The runtimes compute with all cores."""
    found: dict[str, float] = {}
    for place, path in files.paths.items():
        with answered_by(task, opened(place.runtime, path, most())):
            (tested,) = tester("cpu", "32-true").test(task, data, verbose=False)
        found |= figures(tested, type(task), place)
    return found


def figures(tested: dict[str, float], task: type[Task], place: Place) -> dict[str, float]:
    """Of the metrics those that are one number for the whole set; the loss is of training."""
    names = [name for name in task.logged if name != "loss" and f"test/{name}" in tested]
    return {place.key(name): float(tested[f"test/{name}"]) for name in names}


@contextmanager
def answered_by(task: Task, session: Session) -> Iterator[None]:
    model = task.model
    task.model = Answering(session)
    try:
        yield
    finally:
        task.model = model
