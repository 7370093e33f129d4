"""A model's files for the places where it is to run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from litconv.cost.deployed_keys import NEEDS, Place
from litconv.export import deployed, require_packages
from litconv.export.onnx import to_onnx
from litconv.runtimes import home
from litconv.runtimes.int8 import Calibration, Quantised, quantise
from litconv.runtimes.scheme import Scheme


@dataclass(frozen=True)
class Files:
    paths: dict[Place, Path]
    quantised: Quantised | None  # None: no int8 was asked for

    def size_of(self, place: Place) -> int:
        """Bytes."""
        return home(place.runtime).size_of(self.paths[place])


def require_runtimes(places: Sequence[Place]) -> None:
    """They are installed, or one line says how they are."""
    for runtime in dict.fromkeys(place.runtime for place in places):
        require_packages(f"deploy={runtime}", *NEEDS[runtime])


def write_files(
    model: nn.Module,
    images: Tensor,
    places: Sequence[Place],
    calibration: Calibration | None,
    scheme: Scheme,
    folder: Path,
) -> Files:
    """`images` (N, C, H, W): an example. `calibration`: where int8 is among the places. Both runtimes get the same network: one
    float32 file, and one int8 file that is made of it."""
    require_runtimes(places)
    sources = {"float32": folder / "float32.onnx"}
    to_onnx(deployed(model, images), images, sources["float32"])
    quantised = None
    if any(place.precision == "int8" for place in places):
        sources["int8"] = folder / "int8.onnx"
        quantised = quantise(sources["float32"], sources["int8"], calibration, scheme)
    return Files({place: home(place.runtime).file_of(sources[place.precision]) for place in places}, quantised)
