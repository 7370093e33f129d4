"""What a network, its costs and its budget must know of a data set; no image is read for it."""

from dataclasses import dataclass

UNKNOWN_CLASSES = 2  # outputs of a network that is only checked, of a set whose classes are not known yet


@dataclass(frozen=True)
class Problem:
    in_channels: int
    image_size: tuple[int, int]  # (H, W) in pixels, as validation and test see it
    training_size: tuple[int, int]  # (H, W) of a training image: the crop's where there is one
    batch_size: int  # images per step and process
    num_classes: int
    classes_known: bool  # False: `num_classes` is UNKNOWN_CLASSES; nothing may be counted or matched with it
