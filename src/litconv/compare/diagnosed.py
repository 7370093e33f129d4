"""What the networks do inside, for the page: a table of the runs' diagnoses and the pictures of one seed, side by side."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from litconv.compare.arms import Arm
from litconv.compare.columns import Column, diagnosed
from litconv.compare.predictions.samples import columns as shown_arms
from litconv.compare.result import Result

KINDS = {"receptive_field": "receptive field", "first_kernels": "first kernels", "sampling_points": "sampling points"}
PNG = b"\x89PNG\r\n\x1a\n"
LARGEST = 1_000_000  # bytes of one picture: the page carries all of them


@dataclass(frozen=True)
class Cell:
    mean: str
    deviation: str  # "" where the seeds agree
    value: float | str  # what the column is sorted by


@dataclass(frozen=True)
class Diagnosed:
    headings: list[str]
    rows: dict[str, list[Cell]]  # of the arms that have figures
    pictures: dict[str, dict[str, str]]  # of KINDS → name of an arm → a data: URI
    seed: int | None  # of the pictures
    images: str  # how many each run was diagnosed by, "" where no run says so
    without: int  # arms that have no figures


def diagnosed_arms(result: Result) -> tuple[Diagnosed | None, list[str]]:
    """None where no run was diagnosed; and what was noted about the pictures."""
    columns = diagnosed(result)
    if not columns:
        return None, []
    rows = {}
    for arm in result.arms:
        cells = [cell(column, arm) for column in columns]
        if any(one.mean != "–" for one in cells):
            rows[arm.name] = cells
    arms = shown_arms(result)
    having = {seed: sum(bool(folder_of(arm, seed)) for arm in arms) for seed in result.seeds}
    seed = max(having, key=lambda s: having[s])  # the first of those that most arms have
    pictures, notes = pictures_of(arms, seed) if having[seed] else ({}, [])
    shown, without = (seed if pictures else None), len(result.arms) - len(rows)
    return Diagnosed([c.heading for c in columns], rows, pictures, shown, images(result), without), notes


def images(result: Result) -> str:
    """How many the runs were diagnosed by; "" where they do not say."""
    key = "diagnostics/images"
    counts = pd.to_numeric(result.runs[key], errors="coerce").dropna() if key in result.runs else ()
    return " to ".join(f"{n:.0f}" for n in dict.fromkeys((min(counts), max(counts)))) if len(counts) else ""


def cell(column: Column, arm: Arm) -> Cell:
    mean, _, deviation = column.cell(arm).partition(" ± ")
    value = arm.column(f"diagnostics/{column.name}").mean()
    return Cell(mean, deviation, "" if value != value else float(value))


def folder_of(arm: Arm, seed: int) -> Path | None:
    """Of a diagnosis's pictures."""
    for run in arm.runs.to_dict("records"):
        folder = Path(run["folder"]) / "diagnostics"
        if run["seed"] == seed and folder.is_dir():
            return folder
    return None


def pictures_of(arms: Sequence[Arm], seed: int) -> tuple[dict[str, dict[str, str]], list[str]]:
    found: dict[str, dict[str, str]] = {}
    notes = []
    for kind in KINDS:
        for arm in arms:
            folder = folder_of(arm, seed)
            if folder is None or not (path := folder / f"{kind}.png").is_file():
                continue
            if path.stat().st_size > LARGEST or not (written := path.read_bytes()).startswith(PNG):
                notes.append(f"diagnostics/{path.name} of {arm.name}, seed {seed}, is no PNG of up to 1 MB; left out")
                continue
            found.setdefault(kind, {})[arm.name] = f"data:image/png;base64,{base64.b64encode(written).decode()}"
    return found, notes
