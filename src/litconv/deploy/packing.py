"""`scripts/deploy.py pack=arms.zip`: the arms of finished runs into one zip, and what is said of it."""

import sys
from collections.abc import Sequence

from omegaconf import DictConfig

from litconv.config.front import spelled
from litconv.config.hydra_state import hydra_state
from litconv.deploy.arms import one_of_each
from litconv.deploy.int8_forms import TrainingImages, quantiser
from litconv.deploy.pack import write_pack
from litconv.deploy.runs import Run
from litconv.errors import ConfigError
from litconv.export import require_packages
from litconv.files import local

ELSEWHERE = {"threads": "its program takes --threads", "seconds": "its program takes --seconds"}  # of the other machine
ELSEWHERE |= {"runtime": "its program runs ONNX Runtime", "again": "it is always written anew"}


def pack(runs: Sequence[Run], arguments: DictConfig) -> None:
    check(arguments)
    path = local(str(arguments.pack), "pack").expanduser()
    wanted = list(arguments.precision)
    if "float32" not in wanted:
        raise ConfigError("precision=int8 with pack=…: int8 is made of float32, which is packed too; add it")
    require_packages("pack=…", "onnxscript", "onnx", *(["onnxruntime"] if "int8" in wanted else []))
    arms, left_out = one_of_each(runs)
    quantise = None
    if "int8" in wanted:
        images, method = arguments.calibration.images, arguments.calibration.method
        quantise = quantiser(TrainingImages(images, method, arguments.allowed_packages, arguments.data.root))
    packed = write_pack(
        arms, path, batch=arguments.batch, quantise=quantise, allowed_packages=list(arguments.allowed_packages)
    )
    for name, reason in (left_out | packed.left_out).items():
        print(f"left out: {name}: {reason}", file=sys.stderr)
    how_many = "1 arm" if len(packed.arms) == 1 else f"{len(packed.arms)} arms"
    listed = ", ".join(packed.arms)
    print(f"{path}: {how_many} in {' and '.join(wanted)}, pack {packed.manifest['pack']}: {listed}")
    print(f"on the other machine:  pip install numpy onnxruntime;  python {path.name} --out DEVICE.csv")
    print(f"and back here:  {' '.join([*spelled('compare'), *where(runs, arguments), 'device=DEVICE.csv'])}")


def check(arguments: DictConfig) -> None:
    """What has no effect on a pack is refused."""
    for override in hydra_state(arguments)[0]:
        key = override.lstrip("+").partition("=")[0]
        if key in ELSEWHERE:
            raise ConfigError(f"{override} has no effect on a pack: {ELSEWHERE[key]}; remove it")


def where(runs: Sequence[Run], arguments: DictConfig) -> list[str]:
    """Of the runs, in the words of scripts/compare.py, which wants a folder where `run=` takes a name, too."""
    if not arguments.sweep:
        return [f"folders=[{','.join(str(run.folder) for run in runs)}]"]
    given = hydra_state(arguments)[0]
    return [f"sweep={arguments.sweep}", *(one for one in given if one.startswith("output_dir="))]
