"""Tables of costs: sorted, printed, written as JSON (all keys of summary.json), CSV or Markdown."""

import csv
import io
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import product, starmap
from pathlib import Path
from typing import Any

from litconv.config.front import as_written
from litconv.cost.deployed_keys import PRECISIONS, RUNTIMES, Place, deployed_cost
from litconv.cost.hazards import Hazard
from litconv.cost.keys import COST_KEYS
from litconv.cost.layers import Layer
from litconv.errors import ConfigError, did_you_mean
from litconv.prepare.points import Point

COLUMNS = [cost.key.removeprefix("cost/") for cost in COST_KEYS if cost.listed]
DEPLOYED = [  # with deploy=
    place.key(figure)
    for place in starmap(Place, product(RUNTIMES, PRECISIONS))
    for figure in ("latency_ms", "latency_ratio", "latency_single_ms", "file_mb", "peak_memory_mb")
]
MATCH = ("match/width", "match/channels", "match/error")
NOT_SHOWN = ("out", "sort", "per_layer", "sweep", "conv", "backbone", "output_dir", "logger", "hydra.mode")
OF_RANDOM_IMAGES = "int8 has ranges by random images; of a trained network python scripts/deploy.py says how good it is"
FORMATS = (".json", ".csv", ".md")
Row = dict[str, Any]


@dataclass(frozen=True)
class CostTable:
    out: str | None
    sort: str | None
    per_layer: bool
    deployed: Sequence[str] = ()  # keys of what is measured where the networks run

    def __post_init__(self) -> None:
        if not isinstance(self.per_layer, bool):
            raise ConfigError(f"per_layer={self.per_layer} must be true or false")
        columns = (
            Layer.columns()
            if self.per_layer
            else ["conv", "backbone", *COLUMNS, *map(column, (*DEPLOYED, *MATCH)), *deployed_columns(self.deployed)]
        )
        if self.sort is not None and str(self.sort).lstrip("-") not in columns:
            meant = did_you_mean(str(self.sort).lstrip("-"), columns)
            raise ConfigError(
                f"sort={self.sort} is no column{meant}; choose from {', '.join(columns)}, or -{columns[-1]}"
            )
        if self.out is not None and Path(self.out).suffix not in FORMATS:
            raise ConfigError(f"out={self.out} must end in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")
        if self.out is not None and not Path(self.out).parent.is_dir():
            raise ConfigError(
                f"out={self.out}: there is no folder {Path(self.out).parent}; make it, or give another place"
            )

    def show(self, points: Sequence[Point]) -> None:
        """Print the table; write it, or with .json everything that is known, to `out`."""
        if self.per_layer:
            rows = [row for point in points for row in self.ordered(layer_rows(points, point))]
            full = rows
        else:
            points = sorted(points, key=lambda p: self.key(arm(points, p))) if self.sort else list(points)
            points = points[::-1] if str(self.sort).startswith("-") else points
            rows, full = [arm(points, point) for point in points], [point.row for point in points]
        print(text(rows))
        if not self.per_layer:
            for point in points:
                if not point.row["cost/second_opinion"].startswith("agrees"):
                    print(f"{point.row['name']}: {point.row['cost/second_opinion']}")
            if any("/int8/" in key and key in DEPLOYED for point in points for key in point.row):
                print(as_written(OF_RANDOM_IMAGES))
            for hazard in hazards(points):
                print(f"known to be slow where models run: {hazard}", file=sys.stderr)
        if self.out is not None:
            write(Path(self.out), rows, full)
            print(self.out)

    def ordered(self, rows: list[Row]) -> list[Row]:
        if not self.sort:
            return rows
        return sorted(rows, key=self.key, reverse=self.sort.startswith("-"))

    def key(self, row: Row) -> tuple[bool, Any]:
        """Numbers first, then texts such as `global`, then what is missing."""
        value = row.get(str(self.sort).lstrip("-"))
        return (value is None) * 2 + isinstance(value, str), value if value is not None else 0


def arm(points: Sequence[Point], point: Point) -> Row:
    """What tells the point from the others, then its costs."""
    costs = {name: point.row[f"cost/{name}"] for name in COLUMNS if f"cost/{name}" in point.row}
    costs |= {column(key): point.row[key] for key in DEPLOYED if key in point.row}
    matched = {column(key): point.row[key] for key in MATCH if key in point.row}
    notes = {column(key): point.row.get(key, "") for key in ("match/note",) if any(key in p.row for p in points)}
    deployed = {name: point.row[key] for name, key in deployed_columns(point.row).items()}
    return {**label(points, point), **matched, **costs, **deployed, **notes}


def hazards(points: Sequence[Point]) -> list[Hazard]:
    """Of one point with its layers, of several with the points' names."""
    if len(points) == 1:
        return points[0].hazards
    names: dict[str, list[str]] = {}
    for point in points:
        for hazard in point.hazards:
            names.setdefault(hazard.kind, []).append(point.row["name"])
    return [Hazard(kind, tuple(where), "models") for kind, where in names.items()]


def column(key: str) -> str:
    return key.removeprefix("deploy/").replace("/", "_")


def deployed_columns(keys: Iterable[str]) -> dict[str, str]:
    """Column → key, of the figures that are compared: rpi5_int8_latency_ms → deploy/rpi5/int8/latency_ms"""
    others = [key for key in keys if key not in DEPLOYED]  # of devices
    costs = [cost for key in others if (cost := deployed_cost(key)) and cost.compared != "no"]
    return {column(cost.key): cost.key for cost in costs}


def label(points: Sequence[Point], point: Point) -> Row:
    keys = dict.fromkeys(key for p in points for key in p.overrides if key not in NOT_SHOWN)
    varied = [key for key in keys if len({p.overrides.get(key) for p in points}) > 1]
    names = {"conv": point.row["conv"], "backbone": point.row["backbone"]}
    return names | {key: point.overrides.get(key, "") for key in varied}


def layer_rows(points: Sequence[Point], point: Point) -> list[Row]:
    named = label(points, point) if len(points) > 1 else {}
    return [{**named, **asdict(layer)} for layer in point.layers]


def text(rows: Sequence[Row]) -> str:
    """Columns side by side, numbers to the right."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [columns, *([shown(row.get(column)) for column in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = [any(isinstance(row.get(column), int | float) for row in rows) for column in columns]
    lines = (
        "  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, right, strict=True)).rstrip()
        for line in cells
    )
    return "\n".join(lines)


def shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:.3f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def write(path: Path, rows: Sequence[Row], full: Sequence[Row]) -> None:
    """JSON holds every key, CSV every key with one value, Markdown the table as it is printed."""
    if path.suffix == ".json":
        content = json.dumps(list(full), indent=2, default=str) + "\n"
    elif path.suffix == ".csv":
        columns = list(dict.fromkeys(key for row in full for key, value in row.items() if not isinstance(value, dict)))
        file = io.StringIO()
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: "; ".join(v) if isinstance(v, list) else v for k, v in row.items()} for row in full)
        content = file.getvalue()
    else:
        columns = list(dict.fromkeys(key for row in rows for key in row))
        lines = [columns, ["---"] * len(columns), *([shown(row.get(c)) for c in columns] for row in rows)]
        content = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    path.write_text(content)
