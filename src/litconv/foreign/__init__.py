"""Backbones of other libraries: timm, torchvision, segmentation_models_pytorch, and a class of the user's own."""
