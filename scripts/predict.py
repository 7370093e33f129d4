"""What a run's network says of new images: python scripts/predict.py run=outputs/runs/NAME images=photos

Labels with their probabilities as CSV or JSON, or masks as PNG. The run's data need not be there. An image that cannot be read
is named, and the others go on; only where none can be read is the exit status 1.
"""

import sys

import hydra
from omegaconf import DictConfig, ListConfig

from litconv.config import composed as configuration
from litconv.config.command_line import command_line, guarded
from litconv.errors import ConfigError, DataError


@hydra.main(version_base="1.3", config_path=str(configuration.CONF), config_name="predict")
@guarded
def main(arguments: DictConfig) -> None:
    if not arguments.run:
        raise ConfigError("run is missing: the folder of the run to predict with, such as run=outputs/runs/NAME")
    if arguments.images is None:
        raise ConfigError("images is missing: a file, a folder, a glob or a list of them, such as images=photos")
    from litconv.device import device_named
    from litconv.prepare.threads import computing_with
    from litconv.trained import load
    from litconv.trained.sources import sources_of
    from litconv.trained.writing import writer_of

    allowed = configuration.allowed_packages(arguments)
    trained = load(
        str(arguments.run), checkpoint=arguments.checkpoint, allowed_packages=allowed, data_root=arguments.data.root
    )
    trained.to(device_named(arguments.device, "device"))
    several = isinstance(arguments.images, ListConfig)
    files = sources_of(list(map(str, arguments.images)) if several else str(arguments.images))
    writer = writer_of(trained, files, arguments.out, arguments.top, arguments.overlay)
    with computing_with("auto"):
        for number, prediction in enumerate(trained.predictions(files, arguments.batch_size, writer.leave_out)):
            line = writer.write(prediction)
            if number < SHOWN:
                print(f"  {line}")
    said, left = writer.said, len(writer.left_out)
    if not said:
        raise DataError(f"none of {left} images could be read" if left > 1 else "the image could not be read")
    if said > SHOWN:
        print(f"  … and {said - SHOWN} more")
    writer.finish()
    print(("1 image" if said == 1 else f"{said} images") + (f", {left} left out" if left else "") + f": {writer.out}")


SHOWN = 20  # lines

if __name__ == "__main__":
    sys.exit(command_line(main, "predict"))
