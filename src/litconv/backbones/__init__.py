"""Backbones: take a conv factory, return a pyramid of features."""

from litconv.backbones.backbone import Backbone
from litconv.backbones.mobilenet import MobileNet
from litconv.backbones.resnet import ResNet
from litconv.backbones.vgg import VGG
from litconv.backbones.wide_resnet import WideResNet

__all__ = ["VGG", "Backbone", "MobileNet", "ResNet", "WideResNet"]
