"""What every implementation is given besides tensors."""

from collections.abc import Sequence
from typing import NamedTuple


class Geometry(NamedTuple):
    stride: Sequence[int]
    padding: Sequence[int]
    dilation: Sequence[int]
    offset_groups: int
