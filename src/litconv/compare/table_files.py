"""The arms as a table: Markdown, LaTeX, CSV; and all runs as CSV."""

import csv
import re
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Any

import pandas as pd

from litconv.compare.arms import Arm
from litconv.compare.columns import Column, best, chosen
from litconv.compare.result import Result
from litconv.compare.tables import numbers

LATEX = str.maketrans({c: f"\\{c}" for c in "&%$#_{}"} | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
    "\\": r"\textbackslash{}", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''", "[": "{[}",
    "±": r"$\pm$", "−": "$-$", "×": r"$\times$", "÷": r"$\div$", "≤": r"$\le$", "≥": r"$\ge$", "–": "--", "…": r"\dots{}",
})  # fmt: skip


def write_tables(result: Result, runs: pd.DataFrame, folder: Path, columns: Sequence[str] | None) -> None:
    """`columns`: their short names, of table.md and table.tex; None for the usual ones."""
    rows = [numbers(result, arm) for arm in result.arms]
    shown = chosen(result, columns)
    with (folder / "table.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)), restval="")
        writer.writeheader()
        writer.writerows(
            {k: "" if isinstance(v, float) and not isfinite(v) else v for k, v in row.items()} for row in rows
        )
    (folder / "table.md").write_text(markdown(result.arms, shown))
    (folder / "table.tex").write_text(latex(result, shown))
    lists = {key: runs[key].map(in_one_cell) for key in runs.columns if runs[key].dtype == object}
    runs.assign(**lists).to_csv(folder / "runs.csv", index=False)


def in_one_cell(value: Any) -> Any:
    return " ".join(map(str, value)) if isinstance(value, list) else value


def markdown(arms: Sequence[Arm], columns: Sequence[Column]) -> str:
    lines = [[c.heading for c in columns], ["---"] * len(columns), *([c.cell(arm) for c in columns] for arm in arms)]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def latex(result: Result, columns: Sequence[Column]) -> str:
    """A table of the booktabs package; the best of each column in bold."""
    bold = [best(column, result.arms) for column in columns]
    rows = [
        " & ".join(_cell(c, arm, arm.name in best) for c, best in zip(columns, bold, strict=True)) + r" \\"
        for arm in result.arms
    ]
    lines = [
        r"% \usepackage{booktabs}",
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{caption(result, columns).translate(LATEX)}}}",
        rf"  \label{{tab:{re.sub(r'[^A-Za-z0-9]+', '-', result.name).strip('-')}}}",
        rf"  \begin{{tabular}}{{{''.join('r' if c.numeric else 'l' for c in columns)}}}",
        r"    \toprule",
        f"    {' & '.join(c.heading.translate(LATEX) for c in columns)} \\\\",
        r"    \midrule",
        *(f"    {row}" for row in rows),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _cell(column: Column, arm: Arm, best: bool) -> str:
    """The best figure in bold, without what stands beside it: its deviation, its ratio."""
    text = column.cell(arm)
    figure = column.figure(arm) if best and column.figure else ""
    rest = text.removeprefix(figure).translate(LATEX)
    return f"\\textbf{{{figure.translate(LATEX)}}}{rest}" if figure else rest


def caption(result: Result, columns: Sequence[Column]) -> str:
    counts = sorted({arm.n for arm in result.arms})
    seeds = f"{counts[0]} to {counts[-1]} seeds" if len(counts) > 1 else f"{counts[0]} seed{'s' * (counts[0] > 1)}"
    data = sorted({str(v) for v in result.runs["data"].dropna()}) if "data" in result.runs else []
    said = [f"{result.metric.label}{f' on {data[0]}' if len(data) == 1 else ''}, {seeds} an arm"]
    if counts[-1] > 1:
        said[0] += ": mean ± standard deviation"
    if {"gap", "interval", "p"} & {c.name for c in columns} and result.comparisons:
        said.append("Gaps are of runs paired by seed")
    if any(best(column, result.arms) for column in columns):
        said.append("The best of each column is bold")
    return ". ".join(part[:1].upper() + part[1:] for part in said) + "."
