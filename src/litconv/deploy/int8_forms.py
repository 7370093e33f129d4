"""The int8 forms of a pack's networks, each for the processors that multiply its integers."""

from collections.abc import Callable, Mapping
from pathlib import Path

from litconv.runtimes.int8 import Calibration, quantise
from litconv.runtimes.scheme import ARM, NO_VNNI
from litconv.trained import Trained

SCHEMES = {"int8_arm": ARM, "int8_x86": NO_VNNI}  # which x86 it will be nobody knows: weights of 7 bits are right on all


def quantiser(calibration: Callable[[Trained], Calibration]) -> Callable[[Path, Mapping[str, Path], Trained], None]:
    """For `write_pack`. `calibration`: training images of the run, as its network gets them."""

    def quantise_all(whole: Path, places: Mapping[str, Path], trained: Trained) -> None:
        images = calibration(trained)
        for form, path in places.items():
            quantise(whole, path, images, SCHEMES[form])

    return quantise_all
