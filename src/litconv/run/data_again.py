"""The data of a finished run, read again."""

from omegaconf import DictConfig

from litconv import build
from litconv.data.module import DataModule
from litconv.errors import ConfigError, DataError


def moved_to(arguments: DictConfig) -> str | None:
    """`data.root=` of a command on a finished run; `data_root=` is its older spelling."""
    if arguments.data.root is not None and arguments.data_root is not None:
        raise ConfigError(f"data.root={arguments.data.root} and data_root={arguments.data_root} say the same; give one")
    return arguments.data_root if arguments.data.root is None else arguments.data.root


def read_again(config: DictConfig, data_root: str | None) -> DataModule:
    """`data_root`: where the data lie now, if they were moved since the run."""
    if data_root is not None:
        if "root" not in config.data:
            raise ConfigError(f"data.root={data_root} has no effect: data={config.choices.data} reads no files")
        config.data.root = data_root
    try:
        data = build.data(config)
        data.prepare_data()
        data.setup("test")
    except DataError as error:
        moved = f"data.root={data_root} is where it was looked for"
        moved = moved if data_root else "if the data were moved since the run, add data.root=… to this command"
        raise DataError(f"{error}; {moved}") from error
    return data
