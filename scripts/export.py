"""A finished run as a file that runs without litconv: python scripts/export.py run=outputs/runs/NAME to=onnx

to=onnx, torchscript, torch_export or openvino. The file is compared with PyTorch on images before it is kept; what they differ by
stands in FILE.parity.json beside it.
"""

import sys
from pathlib import Path

import hydra
from omegaconf import DictConfig, ListConfig

from litconv.config import composed as configuration
from litconv.config.command_line import command_line, guarded
from litconv.errors import ConfigError
from litconv.export.kinds import check_asked_opset, check_path, kind_named
from litconv.files import local
from litconv.run.finished import opened


@hydra.main(version_base="1.3", config_path=str(configuration.CONF), config_name="export")
@guarded
def main(arguments: DictConfig) -> None:
    kind = kind_named(arguments.to)
    for key in ("fused", "include_preprocessing", "dynamic_size"):
        if not isinstance(arguments[key], bool):
            raise ConfigError(f"{key}={arguments[key]} must be true or false")
    check_asked_opset(arguments.opset, arguments.to, configuration.hydra_state(arguments)[0])
    run = opened(arguments.run, arguments.checkpoint, arguments.allowed_packages, "export")
    default = f"outputs/exported/{run.folder.resolve().name}{kind.ending}"
    path = local(default if arguments.out is None else str(arguments.out), "out").expanduser()
    check_path(path, arguments.to)
    images = arguments.images
    if not isinstance(images, int):
        images = list(map(str, images)) if isinstance(images, ListConfig) else str(images)

    from litconv.export.formats import Options
    from litconv.prepare.threads import computing_with
    from litconv.trained import load
    from litconv.trained.exporting import export_run, seen_images

    root = arguments.data.root
    trained = load(
        run.checkpoint, checkpoint=arguments.checkpoint, allowed_packages=arguments.allowed_packages, data_root=root
    )
    with computing_with("auto"):
        parity = export_run(
            trained,
            run.config,
            Path(path),
            to=arguments.to,
            options=Options(opset=arguments.opset, dynamic_size=arguments.dynamic_size, fused=arguments.fused),
            seen=seen_images(trained, run.config, images, root),
            include_preprocessing=arguments.include_preprocessing,
        )
    print(f"{path} ({size_of(path) / 2**20:.2f} MiB): {parity}")


def size_of(path: Path) -> int:
    """OpenVINO's weights are a file of their own."""
    weights = path.with_suffix(".bin") if path.suffix == ".xml" else path
    return path.stat().st_size + (weights.stat().st_size if weights != path else 0)


if __name__ == "__main__":
    sys.exit(command_line(main, "export"))
