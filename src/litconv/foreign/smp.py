"""segmentation_models_pytorch, https://github.com/qubvel-org/segmentation_models.pytorch: an encoder by its `name`.

Under one of the library's decoders: `task=segmentation backbone=smp backbone.name=resnet18 backbone.decoder=unet`; or under a
head of litconv: `backbone.decoder=null head=unet`.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from torch import Tensor, nn

from litconv.conv.slot import ConvFactory
from litconv.errors import ConfigError
from litconv.foreign import weights, widths
from litconv.foreign.foreign import Start, constructed, known, library, swapped, to_multiple

COARSEST = 32


class Smp(nn.Module):
    tasks: ClassVar[frozenset[str]] = frozenset({"segmentation"})
    own_head: ClassVar[frozenset[str]] = frozenset({"segmentation"})
    own_head_option: ClassVar[str] = "decoder"
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
        decoder: str | None = "unet",
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
        if decoder is not None:
            known(decoder, smp.MODEL_ARCHITECTURES_MAPPING, "backbone.decoder")
        widths.refuse(
            width,
            (),
            f"backbone.name={name}",
            "choose another backbone.name, or decoder_channels in backbone.options",
        )
        file = weights.file_of(pretrained, cached(smp, name) if pretrained is True else None, name, download(name))
        plain = {"encoder_name": name, "encoder_weights": None, "in_channels": in_channels, "classes": num_classes}
        make = partial(smp.create_model, decoder, **plain, **options)
        if decoder is None:
            make = partial(smp.encoders.get_encoder, name, in_channels=in_channels, weights=None, **options)
        try:
            self.network = constructed(make, seed)
        except (RuntimeError, TypeError, ValueError, KeyError, AttributeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ConfigError(
                f"backbone.name={name} backbone.decoder={decoder} cannot be built (smp: {reason}); choose another"
            ) from error
        encoder = self.network if decoder is None else self.network.encoder
        self.loaded = weights.loaded(encoder, file)
        self.is_whole = decoder is not None
        self.channels, self.strides = ([num_classes], [1]) if self.is_whole else pyramid(encoder)
        self.swapped = swapped(self.network, conv, stage_convs, in_channels, where, init, fit_groups, seed)

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        height, width = x.shape[-2:]
        out = self.network(to_multiple(x, COARSEST))
        if self.is_whole:
            return out[..., :height, :width]  # (N, classes, H, W)
        return [feature for feature in out[1:] if feature.shape[1] > 0]  # the first one is the image


def pyramid(encoder: Any) -> tuple[list[int], list[int]]:
    """Channels and strides of its features. Transformers have an empty one at stride 2."""
    levels = enumerate(encoder.out_channels)
    held = [(channels, min(2**level, encoder.output_stride)) for level, channels in levels if level and channels]
    return [channels for channels, _ in held], [stride for _, stride in held]


def cached(smp: Any, name: str) -> Any:
    settings = smp.encoders.encoders.get(name, {}).get("pretrained_settings", {}).get("imagenet", {})
    return weights.of_hub(settings["repo_id"], settings.get("revision")) if "repo_id" in settings else None


def download(name: str) -> str:
    return f"import segmentation_models_pytorch as smp; smp.Unet('{name}')"
