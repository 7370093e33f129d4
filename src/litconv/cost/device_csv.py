"""What a pack's runner measured on another machine (`deploy/runner.py`), read back: `device=rpi5.csv`. No torch.

The file's name is the device's in the keys: rpi5.csv gives deploy/rpi5/float32/latency_ms. Which arm a row is of says its
arm_hash, the one of summary.json.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from os import PathLike
from pathlib import Path

from litconv.cost.deployed_keys import PRECISIONS, RUNTIMES, Place
from litconv.errors import ConfigError
from litconv.files import local

COLUMNS = (  # of the runner, word for word
    *("pack", "device", "onnxruntime", "threads", "arm", "run", "arm_hash", "precision", "batch"),
    *("latency_ms", "p10_ms", "p90_ms", "ratio", "rounds", "difference", "error"),
)
FIGURES = {"latency_ms": "ms", "p10_ms": "p10_ms", "p90_ms": "p90_ms", "ratio": "ratio"}  # column → behind latency_
ABOUT = ("pack", "device", "onnxruntime", "threads")  # the same in every row


@dataclass
class DeviceCosts:
    name: str  # of the file: the runtime's place in the keys
    pack: str
    device: str  # as the machine calls itself
    onnxruntime: str
    threads: int
    batch: int  # of latency_ms; that of latency_single_ms is 1
    figures: dict[str, dict[str, float]] = field(default_factory=dict)  # arm_hash → key → figure
    arms: dict[str, str] = field(default_factory=dict)  # arm_hash → name, of all that were to be measured
    missing: dict[str, str] = field(default_factory=dict)  # arm and precision → why it was not measured


def read_device(path: str | PathLike[str]) -> DeviceCosts:
    """Whatever is wrong with the file is one line."""
    place = local(path, "device").expanduser()
    rows = rows_of(place)
    name = place.stem
    if name in RUNTIMES or "/" in name or not name:
        raise ConfigError(
            f"device={path}: {name!r} is the name of a runtime; call the file after the machine, as rpi5.csv"
        )
    about = {column: {row[column] for row in rows} for column in ABOUT}
    if mixed := [column for column in ABOUT if len(about[column]) > 1]:
        said = ", ".join(sorted(about[mixed[0]]))
        raise ConfigError(f"device={path} mixes measurements of several: its {mixed[0]} is {said}; keep one a file")
    sizes = {whole(row, "batch", place) for row in rows}
    made = DeviceCosts(
        name, rows[0]["pack"], rows[0]["device"], rows[0]["onnxruntime"], whole(rows[0], "threads", place), max(sizes)
    )
    for row in rows:
        if row["precision"] not in PRECISIONS:
            raise ConfigError(
                f"device={path}: {row['arm']} has the precision {row['precision']}, not one of {PRECISIONS}"
            )
        made.arms[row["arm_hash"]] = row["arm"]
        if not row["latency_ms"]:
            made.missing[f"{row['arm']} {row['precision']}"] = row["error"] or "the measurement was stopped before it"
            continue
        made.figures.setdefault(row["arm_hash"], {}).update(figures_of(row, name, sizes, place))
    if not made.figures:
        raise ConfigError(f"device={path} holds no figure: {next(iter(made.missing.values()))}; measure again")
    return made


def rows_of(place: Path) -> list[dict[str, str]]:
    try:
        with place.open(encoding="utf-8", newline="") as file:
            table = csv.DictReader(file, strict=True)
            columns = tuple(table.fieldnames or ())
            rows = list(table)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise ConfigError(f"device={place} cannot be read ({reason})") from error
    if columns != COLUMNS:
        differ = sorted(set(COLUMNS) ^ set(columns)) or ["their order"]
        raise ConfigError(
            f"device={place} is not what this version's runner writes (columns that differ: {', '.join(differ[:4])}); make the "
            "pack anew, and measure again"
        )
    if not rows or any(None in row or None in row.values() for row in rows):
        raise ConfigError(
            f"device={place} is cut short: {'a row lacks cells' if rows else 'it has no row'}; copy it anew"
        )
    return rows


def figures_of(row: Mapping[str, str], name: str, sizes: set[int], place: Path) -> dict[str, float]:
    """By their keys. Where only single images were measured, that is batch 1 as well."""
    batch = whole(row, "batch", place)
    kinds = [kind for kind, there in (("latency_single", batch == 1), ("latency", batch == max(sizes))) if there]
    where = Place(name, row["precision"])
    values = {ending: positive(row, column, place) for column, ending in FIGURES.items()}
    return {where.key(f"{kind}_{ending}"): value for kind in kinds for ending, value in values.items()}


def positive(row: Mapping[str, str], column: str, place: Path) -> float:
    try:
        value = float(row[column])
    except ValueError:
        value = float("nan")
    if not (isfinite(value) and value > 0):
        raise ConfigError(f"device={place}: {column} of {row['arm']} is {row[column]!r}, not a number greater than 0")
    return value


def whole(row: Mapping[str, str], column: str, place: Path) -> int:
    value = positive(row, column, place)
    if value != int(value):
        raise ConfigError(f"device={place}: {column} of {row['arm']} is {row[column]!r}, not a whole number")
    return int(value)
