"""The comparison as one self-contained index.html: no network, no other file; everything from the runs is shown as text."""

import shlex
from collections.abc import Sequence
from importlib.resources import files
from math import isfinite
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from litconv.compare.arms import Arm
from litconv.compare.classes import Confusion, by_class, by_spread
from litconv.compare.columns import Column, cost_name, default
from litconv.compare.confounds import of_arms
from litconv.compare.deployed.view import CHANGE_HEADINGS, CHOICE_HEADINGS, Deployed
from litconv.compare.diagnosed import KINDS, Diagnosed
from litconv.compare.drawing.sparkline import sparkline
from litconv.compare.drawing.style import colours
from litconv.compare.metric import cost_heading, cost_of
from litconv.compare.payload import as_json, payload
from litconv.compare.phrases import margin
from litconv.compare.predictions.samples import Samples
from litconv.compare.ranking import ranks
from litconv.compare.result import Result
from litconv.compare.tables import numbers
from litconv.compare.tuning import page as tuning
from litconv.compare.verdict import NAMES, verdict
from litconv.cost.deployed_keys import place_of

PARTS = files("litconv.compare") / "page"


def write_page(
    result: Result,
    out: Path,
    command: list[str],
    samples: Samples | None,
    confused: Confusion | None,
    diagnosed: Diagnosed | None,
    deployed: Deployed | None,
) -> None:
    loader = FunctionLoader(lambda name: (PARTS / name).read_text())
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    columns = default(result)
    html = environment.get_template("page.html").render(
        result=result,
        verdict=verdict(result),
        broken_curves=[Markup(sparkline(one)) for one in result.broken],
        tests=NAMES,
        other=result.rule.other.test,
        margin=margin(result) if result.rule.margin is not None else "",
        facts=facts(result),
        headings=[column.heading for column in columns],
        rows=[row(result, arm, columns) for arm in result.arms],
        costs=[{"key": key, "label": cost_heading(key)} for key in result.cost_keys if not place_of(key)],
        deployed_costs=by_place(result.cost_keys),
        confounds=of_arms(result.arms, result.references),
        rankings=ranking_columns(result),
        classes=by_class(result),
        by_spread=by_spread,
        confusion=confused,
        colours=colours(result.arms, result.baselines),
        samples=samples,
        diagnosed=diagnosed,
        kinds=KINDS,
        deployed=deployed,
        choice_headings=CHOICE_HEADINGS,
        change_headings=CHANGE_HEADINGS,
        tuning=tuning.section(result),
        command=shlex.join(command),
        style=Markup(whole("css")),
        script=Markup(whole("js")),
        plotly=Markup(get_plotlyjs()),
        payload=Markup(as_json(payload(result, out, confused))),
    )
    (out / "index.html").write_text(html)


def whole(kind: str) -> str:
    """base.css and page.css, or page.js; then what the sections have of their own."""
    own = sorted(
        (part for part in (PARTS / "sections").iterdir() if part.name.endswith(f".{kind}")), key=lambda p: p.name
    )
    first = [PARTS / "base.css"] if kind == "css" else []
    return "\n".join(part.read_text() for part in (*first, PARTS / f"page.{kind}", *own))


def facts(result: Result) -> list[tuple[str, str]]:
    """What all runs have in common, and how many there are."""
    rows = []
    for key in ("task", "data", "backbone", "head", "train/epochs", "precision", "test/split"):
        values = sorted({shown(v) for v in result.runs[key].dropna()}) if key in result.runs else []
        if len(values) == 1:
            rows.append((key.rpartition("/")[2] if key != "test/split" else "tested on", values[0]))
    for key in ("backbone.depth", "data.image_size", "data.n_train"):
        values = {str(arm.asked.get(key)) for arm in result.arms}
        if len(values) == 1 and values != {"None"}:
            rows.append((key.replace(".", " "), " × ".join(values.pop().strip("[]").split(", "))))
    return [*rows, ("arms", str(len(result.arms))), ("runs", str(len(result.runs)))]


def shown(value: Any) -> str:
    """A column with gaps holds its whole numbers as fractions."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def row(result: Result, arm: Arm, columns: Sequence[Column]) -> list[dict[str, Any]]:
    """Cells of the table: what is shown and what it is sorted by."""
    known = numbers(result, arm)
    by = {"seeds": arm.n, "gap": known.get("gap"), "interval": known.get("gap_low"), "p": known.get("p_holm")}
    by |= {"width": arm.width, "score": arm.mean}
    costs = {cost_name(key): arm.costs.get(key) for key in result.table_keys}
    details = []
    for column in columns:
        text = column.cell(arm)
        value = (by | costs).get(column.name, text)
        value = "" if value is None or (isinstance(value, float) and not isfinite(value)) else value
        kind = text.replace(" ", "-") if column.name == "verdict" else ""
        text, ratio = split_ratio(text) if column.name in costs else (text, "")
        details.append({"text": text, "ratio": ratio, "value": value, "kind": kind})
    return details


def by_place(keys: Sequence[str]) -> dict[str, list[dict[str, str]]]:
    """Where it was measured → the costs there."""
    found: dict[str, list[dict[str, str]]] = {}
    for key in keys:
        if place := place_of(key):
            found.setdefault(place.label, []).append({"key": key, "label": cost_heading(key)})
    return found


def split_ratio(cell: str) -> tuple[str, str]:
    """`12.5 M (1.00×)` as its two halves."""
    figure, _, ratio = cell.partition(" (")
    return figure, ratio.removesuffix(")")


def ranking_columns(result: Result) -> list[dict[str, Any]]:
    columns = [(result.metric.label, ranks(result.arms, result.metric, None))]
    columns += [(cost_of(key).heading, ranks(result.arms, result.metric, key)) for key in result.budget_keys]
    return [{"label": label, "places": sorted(places.items(), key=lambda item: item[1])} for label, places in columns]
