"""Everything that a comparison leaves in its folder: runs.csv, table.{md,tex,csv}, figures, index.html."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from litconv.compare.classes import confusion
from litconv.compare.columns import chosen
from litconv.compare.deployed.markdown import write_markdown
from litconv.compare.deployed.view import deployed_view
from litconv.compare.diagnosed import diagnosed_arms
from litconv.compare.drawing.figures import write_figures
from litconv.compare.page import write_page
from litconv.compare.predictions.samples import sample_predictions
from litconv.compare.result import Result
from litconv.compare.table_files import write_tables


def write_report(
    result: Result,
    runs: pd.DataFrame,
    out: Path,
    command: list[str],
    samples: int = 4,
    columns: Sequence[str] | None = None,
    allowed: Sequence[str] = (),
) -> Result:
    """`runs`: all that were found; `columns`: of the table, by their short names; `allowed`: packages whose classes a run may
    be built of. Returns the result with what was noted on the way."""
    chosen(result, columns)
    out.mkdir(parents=True, exist_ok=True)
    shown, notes = sample_predictions(result, samples, allowed)
    confused, unread = confusion(result)
    diagnosed, unshown = diagnosed_arms(result)
    result = dataclasses.replace(result, notes=[*result.notes, *notes, *unread, *unshown])
    deployed = deployed_view(result)
    write_tables(result, runs, out, columns)
    if deployed:
        write_markdown(result, deployed, out)
    write_figures(result, out)
    write_page(result, out, command, shown, confused, diagnosed, deployed)
    return result
