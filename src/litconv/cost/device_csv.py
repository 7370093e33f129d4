"""Latencies that another machine measured, as the runner of a device pack writes them.

A CSV with a row for each network, precision and batch:

    arm,run,network,precision,batch,latency_ms,latency_p10_ms,latency_p90_ms,latency_ratio,
        threads,device,onnxruntime,pack,version
    grouped,shapes_resnet8_grouped_seed0_ce007bf7a418,5be1c0ffee12,int8,1,0.61,0.60,0.64,1.22,4,Cortex-A76,1.20.1,9f31c2aa,1

`network` is `litconv.cost.architecture.architecture_hash`; the last three columns but `version` are for the reader's eyes. The
file's name names the device: rpi5.csv has the figures `deploy/rpi5/<precision>/…`. No torch: comparisons read it, too.
"""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from litconv.cost.deployed_keys import PRECISIONS, RUNTIMES, Place
from litconv.errors import ConfigError

VERSION = 1  # of the pack, its runner and these columns
TEXTS = ("arm", "run", "network", "precision")
NUMBERS = ("latency_ms", "latency_p10_ms", "latency_p90_ms", "latency_ratio")
OPTIONAL = ("latency_p10_ms", "latency_p90_ms", "latency_ratio")  # may be empty
WHOLE = ("batch", "threads")
ABOUT = ("device", "onnxruntime", "pack")
COLUMNS = (*TEXTS, "batch", *NUMBERS, "threads", *ABOUT, "version")


@dataclass(frozen=True)
class Row:
    arm: str
    run: str
    network: str
    precision: str
    batch: int
    figures: dict[str, float]  # of NUMBERS, without those that are empty
    threads: int
    device: str
    onnxruntime: str
    pack: str


@dataclass(frozen=True)
class DeviceTable:
    path: Path
    rows: list[Row]

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def asked(self) -> str:
        """As the user gave it."""
        return f"device={self.path}"

    def of_runs(self, runs: Iterable[str]) -> dict[str, Any]:
        """The figures of the first of these runs that was measured, as keys of summary.json; empty where none was."""
        named = set(runs)
        first = next((row.run for row in self.rows if row.run in named), None)
        return self.figures([row for row in self.rows if row.run == first])

    def of_network(self, network: str) -> dict[str, Any]:
        """Of the networks that are equal but for their weights the first that was measured; empty where none was."""
        first = next((row.run for row in self.rows if row.network == network), None)
        return self.figures([row for row in self.rows if row.network == network and row.run == first])

    def figures(self, rows: Sequence[Row]) -> dict[str, float]:
        """Of one network: at batch 1, and at the largest batch that was measured."""
        largest = max((row.batch for row in rows), default=1)
        found = {}
        for row in rows:
            place = Place(self.name, row.precision)
            if row.batch == 1:
                single = {key.replace("latency", "latency_single", 1): value for key, value in row.figures.items()}
                found |= {place.key(key): value for key, value in single.items()}
            elif row.batch == largest:
                found |= {place.key(key): value for key, value in row.figures.items()}
        return found

    @property
    def measured(self) -> list[str]:
        """The keys of all figures that some network has."""
        runs = dict.fromkeys(row.run for row in self.rows)
        return list(dict.fromkeys(key for run in runs for key in self.of_runs([run])))

    @property
    def about(self) -> str:
        """rpi5: Cortex-A76, 4 threads, onnxruntime 1.20.1"""
        devices, versions = (sorted({getattr(row, key) for row in self.rows}) for key in ("device", "onnxruntime"))
        threads = sorted({row.threads for row in self.rows})
        many = " and ".join(map(str, threads)) + (" thread" if threads == [1] else " threads")
        return f"{self.name}: {' and '.join(devices)}, {many}, onnxruntime {' and '.join(versions)}"


def device_tables(given: Any) -> list[DeviceTable]:
    """`device=rpi5.csv`, or several: a list, or names with commas between them."""
    names = [] if given is None else given if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    paths = [Path(part.strip()) for name in names for part in str(name).split(",") if part.strip()]
    if given is not None and not paths:
        raise ConfigError(f"device={given} names no file; give the CSV of a device pack, such as device=rpi5.csv")
    for path in paths:
        if path.stem in RUNTIMES:
            raise ConfigError(f"device={path}: {path.stem} is a runtime; rename the file after the device")
        if sum(other.stem == path.stem for other in paths) > 1:
            raise ConfigError(f"device={path}: two files are called {path.stem}; rename one after its device")
    return [read_table(path) for path in paths]


def read_table(path: Path, key: str = "device") -> DeviceTable:
    """`key`: what the user gave it as."""
    asked = f"{key}={path}"
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
            if missing:
                lacking = f"the column{'s' * (len(missing) > 1)} {', '.join(missing)}"
                raise ConfigError(f"{asked} is no table of a device pack: it lacks {lacking}")
            rows = []
            for written in reader:
                where = f"{asked}, line {reader.line_num}"
                rows.append(row_of(written, where))
                if (same := first_equal(rows)) is not None:
                    twice = f"{same.run} in {same.precision} at batch {same.batch}"
                    raise ConfigError(f"{where}: {twice} stands there twice; remove one row")
    except FileNotFoundError:
        raise ConfigError(
            f"{asked}: there is no such file; give the CSV that the program of a pack wrote on the device "
            "(scripts/deploy.py pack=arms.zip)"
        ) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{asked} cannot be read: {' '.join(str(error).split())[:120]}") from error
    if not rows:
        raise ConfigError(f"{asked} has no rows; run the pack's runner on the device to the end")
    return DeviceTable(path, rows)


def first_equal(rows: Sequence[Row]) -> Row | None:
    """The last row, where another is of the same network, precision and batch."""
    last = rows[-1]
    alike = ((row.run, row.precision, row.batch) == (last.run, last.precision, last.batch) for row in rows[:-1])
    return last if any(alike) else None


def row_of(written: dict[str | None, Any], where: str) -> Row:
    if None in written or None in written.values():
        count = sum(value is not None for key, value in written.items() if key is not None) + len(written.get(None, ()))
        columns = len(written) - (None in written)
        raise ConfigError(f"{where}: {count} values for {columns} columns; copy it anew, or measure again")
    if written["version"] != str(VERSION):
        raise ConfigError(
            f"{where}: measured by a pack of version {written['version'] or '?'}, and this litconv reads version {VERSION}; "
            "make the pack anew (scripts/deploy.py pack=…) and measure again"
        )
    for key in TEXTS:
        if not written[key]:
            raise ConfigError(f"{where}: {key} is empty")
    if written["precision"] not in PRECISIONS:
        raise ConfigError(f"{where}: precision={written['precision']} must be {' or '.join(PRECISIONS)}")
    whole = {key: positive(int, key, written[key], where) for key in WHOLE}
    figures = {key: positive(float, key, written[key], where) for key in NUMBERS if written[key] or key not in OPTIONAL}
    texts = {key: written[key] for key in (*TEXTS, *ABOUT)}
    return Row(**texts, **whole, figures=figures)


def positive(kind: type, key: str, text: str, where: str) -> Any:
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not 0 < value < inf:
        what = "whole number" if kind is int else "number"
        raise ConfigError(f"{where}: {key}={text} is no {what} above 0")
    return value
