"""A network of the user's own: `backbone=module backbone.path=my_package.Net allowed_packages=[my_package]`.

It maps images to logits. `in_channels` and `num_classes` are passed where its signature has them.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

from torch import Tensor, nn

from litconv.conv.slot import ConvFactory
from litconv.errors import ConfigError
from litconv.foreign import weights, widths
from litconv.foreign.foreign import Start, constructed, swapped


class Module(nn.Module):
    tasks: ClassVar[frozenset[str]] = frozenset({"classification", "segmentation"})
    own_head: ClassVar[frozenset[str]] = frozenset({"classification", "segmentation"})
    own_kernels: ClassVar[bool] = True
    keeps_weights: ClassVar[bool] = True

    def __init__(
        self,
        conv: ConvFactory,
        in_channels: int = 3,
        width: float = 1.0,
        *,
        net: Callable[..., nn.Module],
        path: str = "",
        stage_convs: Mapping[int, ConvFactory] = {},
        num_classes: int = 0,
        pretrained: bool | str = False,
        where: Mapping[str, Any] = {},
        init: Start = "copy",
        fit_groups: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        widths.refuse(width, (), f"backbone.path={path}", "set an option of the class, as +backbone.net.OPTION=…")
        taken = inspect.signature(net).parameters
        facts = {"in_channels": in_channels, "num_classes": num_classes}
        network = constructed(partial(net, **{name: fact for name, fact in facts.items() if name in taken}), seed)
        if not isinstance(network, nn.Module):
            raise ConfigError(f"backbone.path={path} makes a {type(network).__name__}, which is no nn.Module")
        if pretrained is True:
            raise ConfigError(
                "backbone.pretrained=true: a class of your own has no weights by name; name a file: backbone.pretrained=PATH"
            )
        file = weights.file_of(pretrained, None, path, "")
        self.network = network
        self.loaded = weights.loaded(network, file)
        self.channels, self.strides = [num_classes], [1]
        self.swapped = swapped(network, conv, stage_convs, in_channels, where, init, fit_groups, seed)

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)
