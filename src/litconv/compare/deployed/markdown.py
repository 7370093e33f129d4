"""deployed.md: where the networks run, to be read or pasted."""

from collections.abc import Sequence
from pathlib import Path

from litconv.compare.deployed.view import CHANGE_HEADINGS, CHOICE_HEADINGS, Cell, Deployed, Orders
from litconv.compare.phrases import margin
from litconv.compare.result import Result


def write_markdown(result: Result, view: Deployed, folder: Path) -> None:
    parts = ["# Where it runs\n", *(f"- {sentence}\n" for sentence in view.summary)]
    for orders in view.orders:
        parts += order_parts(result, orders)
    if view.changes:
        parts.append("\n## int8 beside float32\n\n" + table(CHANGE_HEADINGS, [[r.arm, *r.cells] for r in view.changes]))
    if view.about:
        parts.append(f"\nMeasured on: {view.about}.\n")
    (folder / "deployed.md").write_text("".join(parts))


def order_parts(result: Result, orders: Orders) -> list[str]:
    rows = [[name, *map(written, cells)] for name, cells in orders.rows.items()]
    rows += [[f"Spearman's ρ with {base}", *cells] for base, cells in orders.correlations]
    parts = [f"\n## The order of the arms, {orders.label}\n\n", table(["arm", *orders.headings], rows)]
    if orders.disagreements:
        parts += ["\n", *(f"- {sentence}\n" for sentence in orders.disagreements)]
    if orders.choices:
        parts.append(f"\n## The cheapest within {margin(result)} of the best, {orders.label}\n\n")
        parts.append(table(CHOICE_HEADINGS, orders.choices))
    return parts


def written(cell: Cell) -> str:
    """1. 0.41 ms (0.72×)"""
    rank = "" if cell.rank is None else f"{cell.rank}. "
    return rank + cell.text + (f" ({cell.ratio})" if cell.ratio else "")


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)
