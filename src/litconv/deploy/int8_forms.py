"""The int8 forms of a pack's networks, each for the processors that multiply its integers, calibrated on the runs' own images."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from omegaconf import OmegaConf

from litconv.errors import ConfigError, DataError
from litconv.run.data_again import read_again
from litconv.run.finished import config_of
from litconv.runtimes.int8 import Calibration, Method, quantise
from litconv.runtimes.scheme import ARM, NO_VNNI
from litconv.trained import Trained

SCHEMES = {
    "int8_arm": ARM,
    "int8_x86": NO_VNNI,
}  # which x86 it will be nobody knows: weights of 7 bits are right on all


def quantiser(calibration: Callable[[Trained], Calibration]) -> Callable[[Path, Mapping[str, Path], Trained], None]:
    """For `write_pack`. `calibration`: training images of the run, as its network gets them."""

    def quantise_all(whole: Path, places: Mapping[str, Path], trained: Trained) -> None:
        images = calibration(trained)
        for form, path in places.items():
            quantise(whole, path, images, SCHEMES[form])

    return quantise_all


class TrainingImages:
    """`count` images of the training split of each run; data that several runs share are read once."""

    def __init__(
        self, count: int, method: Method, allowed_packages: Sequence[str] = (), data_root: str | None = None
    ) -> None:
        self.count, self.method = count, method
        self.allowed_packages, self.data_root = allowed_packages, data_root
        self.known: dict[str, Calibration] = {}

    def __call__(self, trained: Trained) -> Calibration:
        config = config_of(trained.folder, self.allowed_packages)
        key = OmegaConf.to_yaml(OmegaConf.masked_copy(config.data, [str(k) for k in config.data if k != "seed"]))
        if key not in self.known:
            try:
                images = read_again(config, self.data_root).training_images(self.count)
            except (ConfigError, DataError) as error:
                raise type(error)(
                    f"int8 is calibrated on training images, and those of {trained.folder} cannot be read: {error}; "
                    "float32 alone needs none"
                ) from error
            self.known[key] = Calibration(images.numpy(), self.method)
        return self.known[key]
