"""Keys and tokens: refused on the command line and in configurations, masked in logs and in the error of a summary.

A value is secret if an environment variable holds it whose name says so (WANDB_API_KEY, HF_TOKEN, …); a configuration
key is if its name does.
"""

import logging
import os
import re
from typing import Any
from urllib.parse import urlsplit

from litconv.errors import ConfigError

NAME = re.compile(r"(^|_)(api_?key|access_?key|token|secret|password|passwd|credentials?)(_|$)", re.IGNORECASE)
SHORTEST = 8  # characters; shorter values would be found everywhere
MASK = "[secret]"


def values() -> list[str]:
    """Of this process's environment, the longest first."""
    secrets = {value for name, value in os.environ.items() if NAME.search(name) and len(value) >= SHORTEST}
    return sorted(secrets, key=len, reverse=True)


def masked(text: str) -> str:
    for value in values():
        text = text.replace(value, MASK)
    return re.sub(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)", MASK, text)  # https://user:password@host


class Masking(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))


def refuse(config: dict[str, Any], path: str = "") -> None:
    """A ConfigError for a key or token anywhere in a resolved configuration; the message does not repeat it."""
    known = values()
    for key, value in config.items():
        where = f"{path}.{key}".lstrip(".")
        if isinstance(value, dict):
            refuse(value, where)
            continue
        text = str(value)
        holds = any(secret in text for secret in known) or ("://" in text and urlsplit(text).password)
        if holds or (NAME.search(str(key)) and value not in (None, "")):
            raise ConfigError(
                f"{where} holds a key or password, which config.yaml, wandb and `ps` would show; set it in the "
                "environment (WANDB_API_KEY, or `wandb login`) and remove it here"
            )
