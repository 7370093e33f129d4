"""timm's models, https://github.com/huggingface/pytorch-image-models: `backbone=timm backbone.name=resnet18`.

For labels the whole network with its own classifier; for masks its pyramid of features (`features_only`), and a head of litconv.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor, nn

from litconv.conv.slot import ConvFactory
from litconv.errors import ConfigError
from litconv.foreign import weights, widths
from litconv.foreign.foreign import Start, constructed, has_values, known, library, swapped, to_multiple


class Timm(widths.Varied, nn.Module):
    tasks: ClassVar[frozenset[str]] = frozenset({"classification", "segmentation"})
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
        timm = library("timm")
        known(name.partition(".")[0], timm.list_models(), "backbone.name")
        self.name = name
        self.base, options = widths.settle(widths.of_timm(timm, name), width, base_channels, name, options)
        self.network = self.made(timm, name, in_channels, num_classes, pretrained, options, seed)
        self.is_whole = num_classes > 0
        self.channels = (self.base or [num_classes]) if self.is_whole else list(self.network.feature_info.channels())
        self.strides = [1] if self.is_whole else list(self.network.feature_info.reduction())
        self.swapped = swapped(self.network, conv, stage_convs, in_channels, where, init, fit_groups, seed)

    def made(
        self,
        timm: Any,
        name: str,
        in_channels: int,
        num_classes: int,
        pretrained: bool | str,
        options: Mapping[str, Any],
        seed: int,
    ) -> nn.Module:
        file = weights.file_of(pretrained, cached(timm, name) if pretrained is True else None, name, download(name))
        loaded = {"pretrained": True, "pretrained_cfg_overlay": {"file": str(file)}} if file and has_values() else {}
        kind = {"num_classes": num_classes} if num_classes else {"features_only": True}
        make = partial(timm.create_model, name, in_chans=in_channels, **loaded, **kind, **options)
        try:
            return constructed(make, seed)
        except (RuntimeError, AttributeError, KeyError, TypeError, AssertionError) as error:
            if loaded:
                weights.read(Path(file), f"backbone.pretrained={pretrained}")  # where the file is at fault, it says so
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            why = "cannot be built" if num_classes else "gives no pyramid of features, which a segmentation head reads"
            raise ConfigError(
                f"backbone.name={name} {why} (timm: {reason}); choose another, or other backbone.options"
            ) from error

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        if self.is_whole:
            return self.network(x)
        features = self.network(to_multiple(x, max(self.strides)))
        return [f.permute(0, 3, 1, 2) for f in features] if self.network.output_fmt == "NHWC" else list(features)


def cached(timm: Any, name: str) -> Path | None:
    """Where an earlier download lies."""
    config = timm.models.get_pretrained_cfg(name)
    repository = getattr(config, "hf_hub_id", None)
    found = weights.of_hub(repository) if repository else None
    return found or (weights.of_url(config.url) if getattr(config, "url", None) else None)


def download(name: str) -> str:
    return f"import timm; timm.create_model('{name}', pretrained=True)"
