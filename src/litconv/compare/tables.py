"""The arms as a table: Markdown, LaTeX, CSV; and all runs as CSV."""

import csv
from math import isfinite, isnan
from pathlib import Path
from typing import Any

import pandas as pd

from litconv.compare.arms import Arm
from litconv.compare.metric import cost_heading, short
from litconv.compare.outlook import power
from litconv.compare.result import Result

LATEX = str.maketrans({c: f"\\{c}" for c in "&%$#_{}"} | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
    "\\": r"\textbackslash{}", "±": r"$\pm$", "−": "$-$", "×": r"$\times$", "÷": r"$\div$", "–": "--",
})  # fmt: skip

OTHER = {"student": "exact test", "exact": "Student"}  # the test that was not chosen, whose p is shown beside


def write_tables(result: Result, runs: pd.DataFrame, folder: Path) -> None:
    rows = [numbers(result, arm) for arm in result.arms]
    with (folder / "table.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)), restval="")
        writer.writeheader()
        writer.writerows(
            {k: "" if isinstance(v, float) and not isfinite(v) else v for k, v in row.items()} for row in rows
        )
    (folder / "table.md").write_text(markdown(result))
    (folder / "table.tex").write_text(latex(result))
    listed = runs.map(lambda value: " ".join(map(str, value)) if isinstance(value, list) else value)
    listed.to_csv(folder / "runs.csv", index=False)


def numbers(result: Result, arm: Arm) -> dict[str, Any]:
    """One arm, figures as they are: for CSV, wandb and the page."""
    c = result.comparisons.get(arm.name)
    low, high = arm.interval
    row: dict[str, Any] = {"arm": arm.name, "verdict": word(result, arm), "seeds": arm.n}
    row |= {"mean": arm.mean, "std": arm.std, "low": low, "high": high}
    if c is not None:
        row |= {"reference": result.references[arm.name].name, "pairs": c.n, "gap": c.mean, "gap_sd": c.sd}
        row |= {"gap_low": c.low, "gap_high": c.high, "p": c.p, "p_holm": c.p_holm, "test": c.rule.test}
        other = result.by_other_test[arm.name]
        row |= {f"p_holm_{other.rule.test}": other.p_holm, "seeds_planned": c.rule.planned}
        if c.rule.margin is not None:
            row |= {"margin": c.rule.margin, "equivalent": c.equivalent}
        if result.metric.fraction and not isnan(c.sd):
            row["power_for_1_point"] = power(0.01, c.sd, c.n, c.comparisons, c.rule)
    row |= arm.costs
    row |= {f"{key}_to_reference": result.ratio(arm, key) for key in arm.costs if not isnan(result.ratio(arm, key))}
    row["front"] = " ".join(key for key in result.cost_keys if arm.name in result.fronts[key])
    return row | ({"width": arm.width} if arm.width is not None else {}) | {"arm_hash": arm.hash}


def word(result: Result, arm: Arm) -> str:
    c = result.comparisons.get(arm.name)
    if c is None:
        return "reference" if arm in result.baselines else "–"
    return c.word


def headings(result: Result) -> list[str]:
    several = len(result.baselines) > 1
    against = "the reference" if several else result.baselines[0].name if result.baselines else "–"
    unit = f" ({result.metric.unit})" if result.metric.unit else ""
    gap = [f"gap to {against}{unit}", "95 % interval", "p (Holm)", f"p ({OTHER[result.rule.test]})", "verdict"]
    width = ["width"] if result.widths_vary else []
    costs = [cost_heading(key) for key in result.table_keys]
    return ["arm", *width, "seeds", result.metric.label, *(gap if result.comparisons else []), *costs]


def cells(result: Result, arm: Arm) -> list[str]:
    """One arm as it is read."""
    metric, c = result.metric, result.comparisons.get(arm.name)
    width = [] if not result.widths_vary else ["–" if arm.width is None else f"{arm.width:.4g}"]
    row = [
        arm.name,
        *width,
        str(arm.n),
        f"{metric.value(arm.mean)}" + (f" ± {metric.value(arm.std)}" if arm.n > 1 else ""),
    ]
    if result.comparisons:
        if c is None or c.n == 0:
            row += ["", "", "", "", word(result, arm)]
        else:
            between = f"{metric.gap(c.low)} to {metric.gap(c.high)}" if isfinite(c.low) else "–"
            by_other = result.by_other_test[arm.name].p_holm
            row += [metric.gap(c.mean), between, f"{c.p_holm:.2g}", f"{by_other:.2g}", word(result, arm)]
    for key in result.table_keys:
        ratio = result.ratio(arm, key)
        shown = short(arm.costs[key]) if key in arm.costs else "–"
        row.append(shown if isnan(ratio) else f"{shown} ({ratio:.2f}×)")
    return row


def markdown(result: Result) -> str:
    lines = [headings(result), ["---"] * len(headings(result)), *(cells(result, arm) for arm in result.arms)]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def latex(result: Result) -> str:
    """Of the booktabs package."""
    body = [" & ".join(cell.translate(LATEX) for cell in cells(result, arm)) + r" \\" for arm in result.arms]
    head = " & ".join(cell.translate(LATEX) for cell in headings(result)) + r" \\"
    columns = "l" + "r" * (len(headings(result)) - 1)
    lines = [
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        head,
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"
