"""The user's own yamls beside litconv's: `--config-dir FOLDER`, with conv/mine.yaml and the like in it.

It is read as `hydra.searchpath=[file://FOLDER]`, Hydra's way to say the same, which reaches the jobs of a sweep, whoever
launches them, and the other processes of a DDP run.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from litconv.config.environment import arguments
from litconv.config.places import CONF
from litconv.errors import ConfigError

SEARCHPATH = "hydra.searchpath="


def as_searchpath(written: Sequence[str]) -> list[str]:
    """The arguments of a command line without `--config-dir`, and at their end what it means."""
    rest, given = [], []
    waiting = iter(written)
    for argument in waiting:
        flag, equals, value = argument.partition("=")
        if flag in ("--config-dir", "-cd"):
            given.append(value if equals else next(waiting, ""))
        else:
            rest.append(argument)
    if not given:
        return rest
    if any(argument.startswith(SEARCHPATH) for argument in rest):
        raise ConfigError(f"--config-dir {given[0]} and {SEARCHPATH}… say the same; give one of them, with all folders")
    for folder in given:
        if not folder or not Path(folder).is_dir():
            raise ConfigError(
                f"--config-dir {folder}: no such folder; give the one that holds conv/mine.yaml and the like"
            )
    return [
        *rest,
        SEARCHPATH + json.dumps([f"file://{Path(folder).resolve()}" for folder in given], ensure_ascii=False),
    ]


def as_flag(words: Sequence[str]) -> list[str]:
    """The other way round, for a command that is printed: the folder from here where it lies below."""
    here, shown = Path.cwd(), []
    for word in words:
        if word.startswith(SEARCHPATH) and (own := folders([word])):
            below = [folder.relative_to(here) if folder.is_relative_to(here) else folder for folder in own]
            shown += [part for folder in below for part in ("--config-dir", str(folder))]
        else:
            shown.append(word)
    return shown


def refuse_shadowed(written: Sequence[str]) -> None:
    """Of two yamls of one name Hydra reads litconv's, and the user's would be left unread without a word."""
    for folder in folders(written):
        for own in (path for group in groups() for path in sorted((folder / group).glob("*.yaml"))):
            name = own.relative_to(folder)
            if (CONF / name).is_file() and (CONF / name).read_bytes() != own.read_bytes():
                raise ConfigError(
                    f"{own} has the name of litconv's own {name}, which would be read in its place; call it otherwise, "
                    f"such as {name.with_stem(f'my_{name.stem}')}"
                )


def groups() -> list[str]:
    """`conv`, `data`, …, `hydra/launcher`."""
    return sorted({path.parent.relative_to(CONF).as_posix() for path in CONF.rglob("*.yaml")} - {"."})


def folders(written: Sequence[str] | None = None) -> list[Path]:
    """Those that the command line adds, this process's own unless another is given."""
    given = [a for a in (arguments() if written is None else written) if a.startswith(SEARCHPATH)]
    return [Path(place) for place in places(given[-1].removeprefix(SEARCHPATH))] if given else []


def places(value: str) -> list[str]:
    """The paths of `[file:///a, "file:///b c"]`."""
    try:
        listed = json.loads(value)
    except ValueError:
        listed = re.split(r"[\[\],]", value)
    words = [str(word).strip(" \"'") for word in (listed if isinstance(listed, list) else [listed])]
    return [word.removeprefix("file://") for word in words if word.startswith("file://")]


def of_user() -> list[str]:
    """What of the command line says where the user's yamls and classes are: all that is composed or started needs it."""
    return [argument for argument in arguments() if argument.startswith((SEARCHPATH, "allowed_packages="))]


def yamls(group: str, written: Sequence[str] | None = None) -> dict[str, Path]:
    """Name of each option of a group → its file: litconv's, then the user's."""
    of_user = [path for folder in folders(written) for path in sorted((folder / group).glob("*.yaml"))]
    return {path.stem: path for path in [*of_user, *sorted((CONF / group).glob("*.yaml"))]}


def options(group: str) -> list[str]:
    return sorted(yamls(group))


def path_of(group: str, option: str) -> Path | None:
    return yamls(group).get(option)
