"""train.log of a run."""

import logging
import sys
from pathlib import Path

from litconv import secrets


class LogFile(logging.FileHandler):
    """Without keys and tokens."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.setFormatter(secrets.Masking("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        self.lost = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """A full disk costs one line on the terminal, not a traceback for every record."""
        if not self.lost:
            self.lost = True
            print(f"{self.baseFilename} cannot be written ({sys.exc_info()[1]}); the run goes on", file=sys.stderr)
