"""segmentation_models_pytorch, https://github.com/qubvel-org/segmentation_models.pytorch: an encoder by its `name` and one of the
library's decoders: `task=segmentation backbone=smp backbone.name=resnet18 backbone.decoder=unet`."""

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from torch import Tensor, nn

from litconv.conv.slot import ConvFactory
from litconv.errors import ConfigError
from litconv.foreign import weights, widths
from litconv.foreign.foreign import Start, constructed, has_values, known, library, swapped, to_multiple

COARSEST = 32


class Smp(nn.Module):
    tasks: ClassVar[frozenset[str]] = frozenset({"segmentation"})
    own_head: ClassVar[frozenset[str]] = frozenset({"segmentation"})
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
        decoder: str = "unet",
        pretrained: bool | str = False,
        options: Mapping[str, Any] = {},
        where: Mapping[str, Any] = {},
        init: Start = "copy",
        fit_groups: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        smp = library("segmentation_models_pytorch")
        if not name.startswith("tu-"):  # timm's, by their own names
            known(name, smp.encoders.get_encoder_names(), "backbone.name")
        known(decoder, smp.MODEL_ARCHITECTURES_MAPPING, "backbone.decoder")
        widths.refuse(
            width,
            (),
            f"backbone.name={name}",
            "choose another backbone.name, or decoder_channels in backbone.options",
        )
        file = weights.file_of(pretrained, cached(smp, name) if pretrained is True else None, name, download(name))
        plain = {"encoder_name": name, "encoder_weights": None, "in_channels": in_channels, "classes": num_classes}
        try:
            self.network = constructed(partial(smp.create_model, decoder, **plain, **options), seed)
        except (RuntimeError, TypeError, ValueError, KeyError, AttributeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ConfigError(
                f"backbone.name={name} backbone.decoder={decoder} cannot be built (smp: {reason}); choose another"
            ) from error
        self.loaded = (
            weights.load(self.network.encoder, file, f"backbone.pretrained={file}").line
            if file and has_values()
            else ""
        )
        self.channels, self.strides = [num_classes], [1]
        self.swapped = swapped(self.network, conv, stage_convs, in_channels, where, init, fit_groups, seed)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        return self.network(to_multiple(x, COARSEST))[..., :height, :width]  # (N, classes, H, W)


def cached(smp: Any, name: str) -> Any:
    settings = smp.encoders.encoders.get(name, {}).get("pretrained_settings", {}).get("imagenet", {})
    return weights.of_hub(settings["repo_id"], settings.get("revision")) if "repo_id" in settings else None


def download(name: str) -> str:
    return f"import segmentation_models_pytorch as smp; smp.Unet('{name}')"
