"""The most bytes of activations that live at one moment: what a device without an allocator's luxury must hold.

An eager forward of one image, in the deployed form, operation after operation. A tensor is freed after its last use. The peak
is over the operations: all that lives while one of them runs, what it reads and what it writes included.

- An activation is what is computed from the image, the image itself included. Parameters, and what is computed of them
  alone, are none.
- Arithmetic element by element and batch norm write into the memory of an operand that nobody reads afterwards; any other
  operation writes into memory of its own.
- Views share the memory of what they view, and hold the whole of it.
- A floating-point value has 4 bytes, or as int8 one; any other has its own size. A kernel's workspace is not counted.

It is told by an `Observed` forward on the meta device. Of a model that does not run there it is not known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

import torch
from torch import Tensor

from litconv.cost.observed import tensors_of

BATCH_NORMS = {"aten::native_batch_norm", "aten::_native_batch_norm_legit_no_training"}


class Peak(NamedTuple):
    """Bytes."""

    float32: int
    int8: int


class Buffer(NamedTuple):
    floats: int
    others: int  # bytes of all other values

    def bytes(self, of_a_float: int) -> int:
        return of_a_float * self.floats + self.others


@dataclass(frozen=True)
class Step:
    read: tuple[int, ...]  # buffers
    written: tuple[int, ...]  # that are new with it
    in_place_of: tuple[int, ...]  # of what it reads, where its result may lie if nobody reads them afterwards


class Buffers:
    """An observer of `Observed`, from the image on."""

    def __init__(self, image: Tensor) -> None:
        self.is_known = image.is_meta
        self.buffers: list[Buffer] = []
        self.steps: list[Step] = []
        self.held: dict[int, int] = {}  # id of a storage → buffer
        self.kept: list[Any] = []  # those storages, so that no id comes twice; on the meta device they are empty
        if self.is_known:
            self.add(image)

    def __call__(self, func: Any, args: tuple, kwargs: dict[str, Any], out: Any) -> None:
        if not self.is_known:
            return
        reads = [*tensors_of(args), *tensors_of(kwargs.values())]
        read = {buffer: tensor for tensor in reads if (buffer := self.of(tensor)) is not None}
        if not read:
            return
        results = list(tensors_of((out,)))
        self.is_known = all(tensor.is_meta and tensor.layout == torch.strided for tensor in results)
        if self.is_known:
            new = [tensor for tensor in results if self.of(tensor) is None]
            in_place = tuple(b for b, tensor in read.items() if new and may_lie_in(tensor, new[0], func))
            self.steps.append(Step(tuple(read), tuple(dict.fromkeys(map(self.add, new))), in_place))

    def of(self, tensor: Tensor) -> int | None:
        return self.held.get(id(tensor.untyped_storage())) if tensor.is_meta else None

    def add(self, tensor: Tensor) -> int:
        storage = tensor.untyped_storage()
        if id(storage) not in self.held:
            self.held[id(storage)] = len(self.buffers)
            self.kept.append(storage)
            values = storage.nbytes() // tensor.itemsize
            parts = 2 if tensor.is_complex() else 1 if tensor.is_floating_point() else 0
            self.buffers.append(Buffer(parts * values, 0 if parts else storage.nbytes()))
        return self.held[id(storage)]

    def peak(self, outputs: Sequence[Tensor]) -> Peak | None:
        """`outputs` live until the end."""
        results = [self.of(tensor) for tensor in outputs]
        if not self.is_known or not results or None in results:
            return None
        return Peak(*(self.most(results, of_a_float) for of_a_float in (4, 1)))

    def most(self, results: Sequence[int | None], of_a_float: int) -> int:
        end = len(self.steps)
        last = {buffer: step for step, one in enumerate(self.steps) for buffer in one.read}
        last |= dict.fromkeys(results, end)
        born, dies, place = {0: 0}, {0: last.get(0, 0)}, {0: 0}  # a place is the first buffer that lies there
        for step, one in enumerate(self.steps):
            for buffer in one.written:
                if buffer not in last:  # nobody reads it: such as the indices of a pooling
                    continue
                free = [place[b] for b in one.in_place_of if b in place and dies[place[b]] == step]
                place[buffer] = free[0] if free and buffer == one.written[0] else buffer
                born.setdefault(place[buffer], step)
                dies[place[buffer]] = last[buffer]
        changes = [0] * (end + 2)
        for buffer, start in born.items():
            size = self.buffers[buffer].bytes(of_a_float)
            changes[start] += size
            changes[dies[buffer] + 1] -= size
        return max(accumulate(changes))


def may_lie_in(read: Tensor, written: Tensor, func: Any) -> bool:
    """A whole buffer of the same values, one for one."""
    one_for_one = torch.Tag.pointwise in func.tags or func.name().partition(".")[0] in BATCH_NORMS
    alike = read.shape == written.shape and read.dtype == written.dtype
    return one_for_one and alike and read.untyped_storage().nbytes() == written.untyped_storage().nbytes()
