"""hydra.launcher.address: Ray, connected to it. Whether anybody answers there is asked before Ray is, which takes minutes to say
that nobody does."""

import logging
import os
import re
import socket
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from litconv.cluster import on_ray
from litconv.errors import ConfigError

if TYPE_CHECKING:
    from types import ModuleType

KEY = "hydra.launcher.address"
PATIENCE_SECONDS = 5
START = "start a cluster with `ray start --head`, or write hydra.launcher.address=local for one of this machine alone"
REFUSED = (
    "something answers there: is it Ray, of this version, and has this command its token (RAY_AUTH_MODE=token, "
    "RAY_AUTH_TOKEN_PATH=…)?"
)
# Of Ray's own texts: what a dead node's daemon leaves is pages, and one line of ours says what matters.
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
}
FORMS = re.compile(r"(?:ray://)?(?P<host>\[[^\]]+\]|[^\[\]:/]+):(?P<port>\d{1,5})")


def connected(address: str) -> "ModuleType":
    """Ray, connected."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)  # before the import, which reads them
    try:
        import ray
        from ray import cloudpickle
    except ImportError:
        raise ConfigError("hydra/launcher=ray: Ray is not installed: pip install 'litconv[ray]'") from None
    answers = check(address)
    cloudpickle.register_pickle_by_value(on_ray)
    own = {"include_dashboard": False} if address == "local" else {}
    try:
        with stderr_unseen():
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **own)
    except (ConnectionError, RuntimeError, ValueError) as error:
        said = " ".join(str(error).split()).rstrip(".")
        raise ConfigError(f"{KEY}={address}: {said}; {REFUSED if answers else START}") from None
    return ray


@contextmanager
def stderr_unseen() -> Iterator[None]:
    """That of C++ too: a line a second while Ray is refused. What it comes to is in the error."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), 2)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def check(address: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether somebody answers; a ConfigError where nobody does. False for what only Ray can find out. `auto` is resolved as
    Ray documents it: RAY_ADDRESS, or the cluster that was started last on this machine."""
    if address == "local":
        return False
    if address != "auto":
        place, said = address, f"{KEY}={address}"
    elif place := environment.get("RAY_ADDRESS", ""):
        said = f"{KEY}=auto: RAY_ADDRESS={place}"
    elif place := last_started(environment):
        said = f"{KEY}=auto: {place}, where Ray was started last on this machine"
    else:
        return False  # Ray looks for processes of its own, and is quick to say that there are none
    found = FORMS.fullmatch(place)
    if found is None or int(found["port"]) >= 2**16:
        raise ConfigError(f"{said}: neither auto, nor local, nor HOST:PORT, nor ray://HOST:PORT")
    try:
        socket.create_connection((found["host"].strip("[]"), int(found["port"])), PATIENCE_SECONDS).close()
    except OSError as error:
        raise ConfigError(f"{said}: nobody answers ({error.strerror or error}); {START}") from None
    return True


def last_started(environment: Mapping[str, str]) -> str:
    try:
        return (Path(environment.get("RAY_TMPDIR") or "/tmp") / "ray" / "ray_current_cluster").read_text().strip()
    except OSError:
        return ""
