"""The errors a user can cause. Each is one line: the key, the values, the remedy."""


class ConfigError(ValueError):
    """A configuration that cannot be run, found before any data is read."""


class ExportError(ConfigError):
    """A model that a format cannot hold, or a file that does not compute what the model does."""


class BusyError(ConfigError):
    """A run that another process is writing."""


class DataError(ValueError):
    """A data set that cannot be used as it is, found before the first training step."""


class TrainingError(RuntimeError):
    """A training that cannot go on, such as a loss that is not finite."""


class LostProcessError(TrainingError):
    """Another process of the same run has ended, and this one cannot go on without it."""


class JobError(RuntimeError):
    """What a job of a sweep failed of, in one line. It crosses processes."""
