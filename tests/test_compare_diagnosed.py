"""Diagnoses in a comparison: its tables, the section of its page and the pictures in it."""

import base64
import csv
import io

import numpy as np
import pytest
from PIL import Image

from diagnosed_runs import CORRELATIONS, SEEDS, colour, make_diagnosed
from litconv.compare import analyse, load
from litconv.compare.columns import best, chosen, default
from litconv.compare.diagnosed import diagnosed_arms
from litconv.compare.table_files import markdown, write_tables
from made_runs import make_run, make_sweep


@pytest.fixture
def result(tmp_path):
    return analyse(load(make_diagnosed(tmp_path)), "made")


def pixel(uri: str) -> tuple[int, int, int]:
    image = Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/png;base64,"))))
    return image.getpixel((0, 0))


def test_the_table_has_mean_and_deviation_over_the_seeds(result):
    found, notes = diagnosed_arms(result)
    assert notes == []
    assert list(found.rows) == ["deformable", "grouped", "standard"]  # the best first, as everywhere
    assert found.without == 1
    assert found.images == "64"
    at = found.headings.index("channel correlation")
    for conv, level in CORRELATIONS.items():
        values = level + 0.01 * np.arange(SEEDS)
        cell = found.rows[conv][at]
        assert (cell.mean, cell.deviation) == (f"{values.mean():.4f}", f"{values.std(ddof=1):.4f}")
        assert cell.value == pytest.approx(values.mean())


def test_a_field_that_all_seeds_share_stands_alone_beside_the_effective_one(result):
    found, _ = diagnosed_arms(result)
    effective, theoretical = (found.headings.index(f"{one} field (px)") for one in ("effective", "theoretical"))
    assert [cells[effective].mean for cells in found.rows.values()] == ["20.2", "19.2", "18.2"]
    assert [cells[theoretical].mean for cells in found.rows.values()] == ["global", "25", "25"]
    assert {cells[theoretical].deviation for cells in found.rows.values()} == {""}


def test_the_pictures_are_of_the_seed_that_most_arms_have(result):
    found, _ = diagnosed_arms(result)
    assert found.seed == 1  # grouped has none of seed 0
    arms = {"standard": 0, "grouped": 1, "deformable": 2}
    for kind in ("receptive_field", "first_kernels"):
        assert {name: pixel(uri) for name, uri in found.pictures[kind].items()} == {
            name: colour(arm, 1) for name, arm in arms.items()
        }
    assert list(found.pictures["sampling_points"]) == ["deformable"]


def test_what_is_no_picture_is_left_out_and_noted(tmp_path):
    sweep = make_diagnosed(tmp_path)
    for folder in sweep.glob("*_standard_*"):
        (folder / "diagnostics" / "receptive_field.png").write_text("<script>alert(1)</script>")
    found, notes = diagnosed_arms(analyse(load(sweep), "made"))
    assert list(found.pictures["receptive_field"]) == ["deformable", "grouped"]
    assert notes == ["diagnostics/receptive_field.png of standard, seed 1, is no PNG of up to 1 MB; left out"]


def test_runs_without_a_diagnosis_have_no_section(tmp_path):
    assert diagnosed_arms(analyse(load(make_sweep(tmp_path, 2)), "made")) == (None, [])


def test_a_diagnosis_without_pictures_is_a_table(tmp_path):
    for seed in range(2):
        make_run(tmp_path, "standard", seed, summary={"diagnostics/correlation": 0.5})
    found, notes = diagnosed_arms(analyse(load(tmp_path), "made"))
    assert (found.pictures, found.seed, notes) == ({}, None, [])
    assert found.rows["standard"][0].mean == "0.5000"
    assert found.images == ""


def test_diagnoses_are_columns_that_are_asked_for(result, tmp_path):
    asked = chosen(result, ["arm", "correlation", "correlation_within", "effective_field", "receptive_field"])
    lines = markdown(result.arms, asked).splitlines()
    assert lines[0] == (
        "| arm | channel correlation | correlation within groups | effective field (px) | theoretical field (px) |"
    )
    assert lines[2] == "| deformable | 0.2200 ± 0.0158 | – | 20.2 ± 0.158 | global |"
    assert lines[3] == "| grouped | 0.5200 ± 0.0158 | 0.6000 | 19.2 ± 0.158 | 25 |"
    assert lines[5] == "| dilated | – | – | – | – |"
    assert not {"correlation", "receptive_field"} & {column.name for column in default(result)}
    write_tables(result, result.runs, tmp_path, None)
    rows = {row["arm"]: row for row in csv.DictReader((tmp_path / "table.csv").open())}
    assert float(rows["grouped"]["diagnostics/correlation"]) == pytest.approx(0.52)
    assert float(rows["grouped"]["diagnostics/correlation_std"]) == pytest.approx(0.0158, abs=1e-4)
    assert rows["dilated"]["diagnostics/correlation"] == ""


def test_no_diagnosis_is_bold_but_the_fewest_dead_channels(result):
    dead, correlation = chosen(result, ["dead_channels", "correlation"])
    assert best(dead, result.arms) == {"standard", "grouped", "deformable"}
    assert best(correlation, result.arms) == set()
