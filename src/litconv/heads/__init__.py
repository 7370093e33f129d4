"""Heads: `head(features, size)` turns a backbone's pyramid into logits, for segmentation at the image's size."""

from litconv.heads.deeplab import DeepLab
from litconv.heads.fcn import FCN
from litconv.heads.linear import Linear
from litconv.heads.unet import UNet

__all__ = ["FCN", "DeepLab", "Linear", "UNet"]
