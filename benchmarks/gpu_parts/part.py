"""What a part is told, and what it reports. No torch: `benchmarks/gpu.py` reads reports, too."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
NO_GPU = "torch finds no GPU here; --cpu runs what a CPU can"


class SkippedError(Exception):
    """This part, or the rest of it, cannot be run here: the reason."""


def one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:400]


@dataclass(frozen=True)
class Setting:
    folder: Path  # the part's own, for what it trains and writes
    results: Path  # of all parts
    device: str  # cuda or cpu
    images: Path | None  # CIFAR-10 in one file, as `packed.py` writes it
    ends: float  # time.monotonic: when the part's time is over

    @property
    def quick(self) -> bool:
        """On a CPU the same code with tiny sizes."""
        return self.device == "cpu"

    def left(self) -> float:
        """Seconds."""
        return self.ends - time.monotonic()


@dataclass
class Report:
    """Written to `path` at each entry, so that what was found before a part was ended stays."""

    path: Path
    part: str
    status: str = "unfinished"  # then passed, failed or skipped
    reason: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    checks: list[dict[str, str]] = field(default_factory=list)
    tables: dict[str, list[list[Any]]] = field(default_factory=dict)  # the first row: its headings

    def check(self, name: str, holds: bool, found: object) -> None:
        self._note(name, PASSED if holds else FAILED, str(found))

    def skip(self, name: str, reason: str) -> None:
        self._note(name, SKIPPED, reason)

    def fact(self, name: str, value: Any) -> None:
        self.facts[name] = value
        self.write()

    def head(self, title: str, columns: Sequence[str]) -> None:
        self.tables[title] = [list(columns)]

    def row(self, title: str, *cells: Any) -> None:
        self.tables[title].append(list(cells))
        self.write()

    def end(self) -> None:
        found = [check["status"] for check in self.checks]
        self.status = FAILED if FAILED in found else SKIPPED if PASSED not in found else PASSED
        self.write()

    def _note(self, name: str, status: str, found: str) -> None:
        self.checks.append({"name": name, "status": status, "found": found})
        self.write()

    def write(self) -> None:
        content = {key: value for key, value in vars(self).items() if key != "path"}
        unfinished = self.path.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(content, indent=1, ensure_ascii=False, default=str), encoding="utf-8")
        unfinished.replace(self.path)
