"""One operator as a layer of its own, as conf/conv/ and options have it."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from litconv import build
from litconv.config import composed, own_yamls


def layer(conv: str, options: Mapping[str, Any], in_channels: int, out_channels: int, kernel_size: int) -> nn.Module:
    own = [f"conv.{key}={value}" for key, value in options.items()]
    return build.part(
        composed.compose([f"conv={conv}", f"kernel_size={kernel_size}", *own, *own_yamls.of_user()]).conv
    )(in_channels, out_channels)
