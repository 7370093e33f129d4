"""What a composed configuration depends on besides its overrides, as one short text: equal texts, equal overrides, equal runs.

That is every yaml that Hydra may read, the code that checks and names a run, packages of the user's own, the environment
variables that yamls read, the working folder, and the versions of Hydra and OmegaConf.
"""

import hashlib
import importlib.util
import json
import os
import platform
import re
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path

from omegaconf import DictConfig

from litconv.config.composed import allowed_packages
from litconv.config.places import PACKAGE

INTERPOLATION = re.compile(r"\$\{\s*([\w.-]*)\s*(:?)\s*([^},]*)")
RESOLVERS = (
    "oc.select",
    "oc.decode",
    "oc.create",
    "oc.deprecated",
    "oc.dict.keys",
    "oc.dict.values",
)  # of the keys alone
OF_HYDRA = ("hydra.conf", "hydra_plugins.")  # yamls of Hydra and its plugins, which come with their versions
VERSIONS = ("hydra-core", "omegaconf")
CODE = (PACKAGE, PACKAGE.parent / "hydra_plugins")

File = tuple[str, int, int]  # path, size, time of its last change


def fingerprint(config: DictConfig) -> str | None:
    """`config`: of a launch, with Hydra's own part. None where something else is read: a clock, a package's yamls."""
    sources = [(source.schema, source.path) for source in config.hydra.runtime.config_sources]
    folders = [Path(path) for schema, path in sources if schema == "file"]
    if any(schema == "pkg" and not path.startswith(OF_HYDRA) for schema, path in sources):
        return None
    try:
        yamls = {str(path): path.read_text() for folder in folders for path in sorted(folder.rglob("*.yaml"))}
        variables = sorted(variables_of([*yamls.values(), *config.hydra.overrides.task]))
        code = [*files_below(CODE), *files_below(places_of(allowed_packages(config)))]
    except (UntracedError, OSError, ValueError):  # a file that cannot be read, no name of a package: others say so
        return None
    facts = (
        [*map(list, sources), config.hydra.job.config_name, str(Path.cwd()), platform.python_version()],
        [version(package) for package in VERSIONS],
        list(yamls.items()),
        [(name, os.environ.get(name)) for name in variables],
        code,
    )
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


class UntracedError(Exception):
    """Something is read of which nothing here can say whether it has changed."""


def variables_of(texts: Iterable[str]) -> Iterator[str]:
    """The environment variables that interpolations read."""
    for text in texts:
        for start in re.finditer(r"\$\{", text):  # one may stand inside another
            name, colon, argument = INTERPOLATION.match(text, start.start()).groups()
            if colon and name == "oc.env" and re.fullmatch(r"\w+", argument):
                yield argument
            elif colon and (name, argument) != ("hydra", "runtime.cwd") and name not in RESOLVERS:
                raise UntracedError(text[start.start() :])  # now:, hydra:job.num, a variable named by another
            elif not colon and (not name or name.startswith("hydra.")):
                raise UntracedError(text[start.start() :])


def places_of(packages: Iterable[str]) -> Iterator[Path]:
    """Where these packages lie; as `targets` finds them, the folder in which the command is given too."""
    for package in packages:
        top = package.partition(".")[0]
        found = importlib.util.find_spec(top)
        places = [*found.submodule_search_locations] if found and found.submodule_search_locations else []
        places += [found.origin] if found and found.has_location else []
        places += [place for place in (f"{Path.cwd() / top}.py", Path.cwd() / top) if Path(place).exists()]
        if not places:
            raise UntracedError(package)
        yield from map(Path, places)


def files_below(places: Iterable[Path]) -> list[File]:
    """The Python files there."""
    paths = {path for place in places for path in ([place] if place.is_file() else place.rglob("*.py"))}
    return sorted((str(path), stat.st_size, stat.st_mtime_ns) for path in paths for stat in [path.stat()])
