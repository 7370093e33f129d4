"""The data of a finished run, read again."""

from omegaconf import DictConfig

from litconv import build
from litconv.data.module import DataModule
from litconv.errors import ConfigError, DataError


def read_again(config: DictConfig, data_root: str | None) -> DataModule:
    """`data_root`: where the data lie now, if they were moved since the run."""
    if data_root is not None:
        if "root" not in config.data:
            raise ConfigError(f"data_root={data_root} has no effect: data={config.choices.data} reads no files")
        config.data.root = data_root
    try:
        data = build.data(config)
    except DataError as error:
        raise DataError(f"{error}; if the data were moved since the run, add data_root=… to this command") from error
    data.prepare_data()
    data.setup("test")
    return data
