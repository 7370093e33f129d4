"""What was done to every convolution of a model, as a table."""

from collections import Counter
from dataclasses import dataclass
from typing import Literal, NamedTuple


class Row(NamedTuple):
    name: str
    layer: str  # 3×3, 64 → 128, stride 2
    fate: Literal["swapped", "kept", "refused"]
    operator: str  # that stands there now; empty where the layer was left
    why: str  # it was left; or how the operator starts
    note: str = ""  # what of a layer that was swapped is not as it was asked for, or not as it was


@dataclass(frozen=True)
class Report:
    conv: str
    rows: list[Row]

    @property
    def swapped(self) -> list[Row]:
        return [row for row in self.rows if row.fate == "swapped"]

    @property
    def kept(self) -> list[Row]:
        return [row for row in self.rows if row.fate == "kept"]

    @property
    def refused(self) -> list[Row]:
        return [row for row in self.rows if row.fate == "refused"]

    def line(self) -> str:
        parts = [f"{len(rows)} {fate}" for fate in ("swapped", "kept", "refused") if (rows := getattr(self, fate))]
        return f"conv={self.conv}: {', '.join(parts) or 'no convolutions'}"

    def remarks(self) -> list[str]:
        """What a run must say beside the numbers."""
        notes = Counter(row.note for row in self.swapped if row.note)
        refused = Counter(f"refused: {row.why}" for row in self.refused)
        return [f"{n} × {text}" for text, n in (notes + refused).items()]

    def reasons(self, fate: str) -> Counter[str]:
        return Counter(row.why for row in self.rows if row.fate == fate)

    def __str__(self) -> str:
        """Every layer that is swapped or refused; those that are kept in one line for each reason."""
        shown = [row for row in self.rows if row.fate != "kept"]
        cells = [("layer", "what it was", "fate", "operator", "start, or why not")]
        cells += [(*row[:4], "; ".join(filter(None, row[4:]))) for row in shown]
        kept = [
            (f"{n} layers" if n > 1 else self.one(why), "", "kept", "", why) for why, n in self.reasons("kept").items()
        ]
        cells = [(row[0] or "(the model)", *row[1:]) for row in (*cells, *kept)]
        widths = [max(len(row[column]) for row in cells) for column in range(4)]
        lines = [
            "  ".join((*(c.ljust(w) for c, w in zip(row[:4], widths, strict=True)), row[4])).rstrip() for row in cells
        ]
        return "\n".join([self.line(), *(f"  {line}" for line in lines)])

    def one(self, why: str) -> str:
        return next(row.name for row in self.rows if row.fate == "kept" and row.why == why)
