"""A wandb workspace for a comparison's runs: the spec as plain data, and the workspace that wandb-workspaces makes of it.

Scatter plots of the metric against each cost (log axis), parallel coordinates, bars by arm, curves by epoch, and the
verdict in words. The keys are those that every run logs: its summary is summary.json, its configuration has `arm`.
"""

from typing import Any

from litconv.compare.metric import cost_heading
from litconv.compare.result import Result
from litconv.compare.verdict import verdict

Spec = dict[str, Any]


def spec(result: Result, entity: str | None, project: str) -> Spec:
    metric, sweeps = result.metric.key, []
    if "sweep" in result.runs:
        sweeps = sorted(str(sweep) for sweep in result.runs["sweep"].dropna().unique())
    label = result.metric.label
    scatters = [
        {"kind": "scatter", "title": f"{label} against {cost_heading(key)}", "x": key, "y": metric, "log_x": True}
        for key in result.budget_keys
    ]
    arms = [
        {"kind": "parallel", "title": "arms, costs and score", "config": ["arm", "width"],
         "summary": [*result.budget_keys, metric], "log": result.budget_keys},
        {"kind": "bar", "title": f"{label} by arm", "metric": metric, "by": "arm"},
    ]  # fmt: skip
    curves = [
        {"kind": "line", "title": f"{key} by epoch", "y": key, "by": "arm"}
        for key in dict.fromkeys((result.validation.key, "train/loss"))
    ]
    return {
        "name": f"litconv {result.name}",
        "entity": entity,
        "project": project,
        "groups": sweeps,
        "sections": [
            {"name": "Verdict", "panels": [{"kind": "text", "text": verdict(result).text()}]},
            {"name": "Score against cost", "panels": scatters},
            {"name": "Arms", "panels": arms},
            {"name": "Learning curves", "panels": curves},
        ],
    }


def panels_in(written: Spec) -> int:
    return sum(len(section["panels"]) for section in written["sections"])


def workspace(written: Spec) -> Any:
    """The workspace, not yet saved."""
    import wandb_workspaces.workspaces as ws

    group = ws.Metric("Group")
    return ws.Workspace(
        entity=written["entity"] or "",
        project=written["project"],
        name=written["name"],
        sections=[
            ws.Section(name=section["name"], panels=[panel(p) for p in section["panels"]], is_open=True)
            for section in written["sections"]
        ],
        runset_settings=ws.RunsetSettings(filters=ws.And(group.isin(written["groups"])) if written["groups"] else ""),
    )


def panel(written: Spec) -> Any:
    import wandb_workspaces.reports.v2 as wr

    summary, config = wr.SummaryMetric, wr.Config
    match written["kind"]:
        case "text":
            return wr.MarkdownPanel(markdown=written["text"])
        case "scatter":
            x, y = summary(written["x"]), summary(written["y"])
            return wr.ScatterPlot(title=written["title"], x=x, y=y, log_x=written["log_x"])
        case "parallel":
            column = wr.ParallelCoordinatesPlotColumn
            columns = [column(config(key), display_name=key) for key in written["config"]]
            columns += [column(summary(k), display_name=k, log=k in written["log"]) for k in written["summary"]]
            return wr.ParallelCoordinatesPlot(title=written["title"], columns=columns)
        case "bar":
            metric, by = [summary(written["metric"])], config(written["by"])
            return wr.BarPlot(title=written["title"], metrics=metric, groupby=by, groupby_rangefunc="stddev")
        case "line":
            y, by = [written["y"]], config(written["by"])
            return wr.LinePlot(title=written["title"], x="epoch", y=y, groupby=by, groupby_rangefunc="minmax")
    raise AssertionError(written["kind"])
