"""torchvision's classification models: `backbone=torchvision backbone.name=resnet18`."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from torch import Tensor, nn

from litconv.conv.slot import ConvFactory
from litconv.errors import ConfigError
from litconv.foreign import weights, widths
from litconv.foreign.foreign import Start, constructed, known, library, swapped

WITHOUT_AUXILIARY = {"inception_v3": {"init_weights": True}, "googlenet": {"init_weights": True}}


class Torchvision(widths.Varied, nn.Module):
    tasks: ClassVar[frozenset[str]] = frozenset({"classification"})
    own_head: ClassVar[frozenset[str]] = frozenset({"classification"})
    own_kernels: ClassVar[bool] = True
    keeps_weights: ClassVar[bool] = True

    def __init__(
        self,
        conv: ConvFactory,
        in_channels: int = 3,
        width: float = 1.0,
        *,
        stage_convs: Mapping[int, ConvFactory] = {},
        num_classes: int = 0,
        name: str = "",
        pretrained: bool | str = False,
        options: Mapping[str, Any] = {},
        where: Mapping[str, Any] = {},
        init: Start = "copy",
        fit_groups: bool = False,
        base_channels: Sequence[int] = (),
        seed: int = 0,
    ) -> None:
        super().__init__()
        models = library("torchvision").models
        known(name, models.list_models(module=models), "backbone.name")
        self.name = name
        self.base, options = widths.settle(widths.of_torchvision(name), width, base_channels, name, options)
        if in_channels != 3:
            raise ConfigError(
                f"data.in_channels={in_channels}: torchvision's models read 3; use backbone=timm, or data.in_channels=3"
            )
        url = models.get_model_weights(name).DEFAULT.url if pretrained is True else ""
        download = f"import torchvision; torchvision.models.get_model('{name}', weights='DEFAULT')"
        file = weights.file_of(pretrained, weights.of_url(url) if url else None, name, download)
        plain = {"weights": None, "num_classes": num_classes, **WITHOUT_AUXILIARY.get(name, {}), **options}
        try:
            self.network = constructed(partial(models.get_model, name, **plain), seed)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"backbone.name={name} cannot be built ({error}); change backbone.options") from error
        if getattr(self.network, "aux_logits", False):
            self.network.aux_logits = False  # its second and third loss are no part of a run
            for auxiliary in ("AuxLogits", "aux1", "aux2"):
                if hasattr(self.network, auxiliary):
                    setattr(self.network, auxiliary, None)
        self.loaded = weights.loaded(self.network, file)
        self.channels, self.strides = self.base or [num_classes], [1]
        self.swapped = swapped(self.network, conv, stage_convs, in_channels, where, init, fit_groups, seed)

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)
