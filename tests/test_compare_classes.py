"""Figures by class and the confusion of classes, from what runs leave in their folders."""

import csv
import math

import pytest

from litconv.compare import analyse, load
from litconv.compare.classes import by_class, by_spread, confusion
from litconv.compare.report import write_report
from made_runs import make_run

CLASSES = ("cat", "dog/wolf", "a<b>")


def write_confusion(folder, counts, classes=CLASSES):
    with (folder / "confusion.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("", *classes), *((name, *row) for name, row in zip(classes, counts, strict=True))])


def run(root, conv, seed, counts=None, **summary):
    figures = {f"test/f1/{name}": (i + 1) / 10 + seed / 100 for i, name in enumerate(CLASSES)}
    folder = make_run(root, conv, seed, summary={**figures, f"test/recall/{CLASSES[0]}": 0.5, **summary})
    if counts is not None:
        write_confusion(folder, counts)
    return folder


def compared(root):
    return analyse(load(root / "sweeps"), "made")


def test_figures_by_class_are_means_over_the_seeds(tmp_path):
    for seed in range(2):
        run(tmp_path, "standard", seed)
        run(tmp_path, "grouped", seed, **{"test/f1/cat": 0.9})
    f1, recall = by_class(compared(tmp_path))
    assert (f1.label, recall.label) == ("F1", "recall")
    assert f1.classes == list(CLASSES)
    assert f1.means["standard"] == pytest.approx([0.105, 0.205, 0.305])
    assert f1.means["grouped"][0] == pytest.approx(0.9)
    assert by_spread(f1)[0] == 0  # only there the two differ
    assert recall.classes == ["cat"]


def test_the_figure_is_of_the_first_kind_and_so_many_classes_have_a_row_each_on_the_page(tmp_path):
    many = {f"test/f1/class {i}": i / 200 for i in range(100)}
    for conv in ("standard", "grouped"):
        make_run(tmp_path, conv, summary=many | ({"test/f1/class 41": 0.9} if conv == "grouped" else {}))
    result = compared(tmp_path)
    write_report(result, result.runs, tmp_path / "out", ["compare"], samples=0)
    assert {path.suffix for path in (tmp_path / "out").glob("f1_by_class.*")} == {".png", ".svg", ".pdf"}
    page = (tmp_path / "out" / "index.html").read_text()
    rows = page.partition('data-figures="f1"')[2].partition("</table>")[0].partition("<tbody>")[2].split("<tr>")[1:]
    assert len(rows) == 100
    assert "class 41" in rows[0]


def test_a_class_that_a_run_does_not_have_is_no_number(tmp_path):
    run(tmp_path, "standard", 0, **{"test/f1/cat": None})
    (f1, _) = by_class(compared(tmp_path))
    assert math.isnan(f1.means["standard"][0])


def test_confusions_are_summed_over_the_seeds_of_each_arm(tmp_path):
    run(tmp_path, "standard", 0, [[5, 1, 0], [0, 4, 2], [0, 0, 3]])
    run(tmp_path, "standard", 1, [[1, 0, 0], [0, 1, 0], [9, 0, 1]])
    run(tmp_path, "grouped", 0)
    found, notes = confusion(compared(tmp_path))
    assert notes == []
    assert found.classes == list(CLASSES)
    assert found.counts == {"standard": [[6, 1, 0], [0, 5, 2], [9, 0, 4]]}


@pytest.mark.parametrize(
    "written", ["", "not a table", ",cat,dog\ncat,1,2\n", ",cat,dog\ncat,1,x\ndog,1,2\n", ",cat,dog\ndog,1,2\ncat,1,2\n", "\0"]
)  # fmt: skip
def test_a_file_that_is_no_such_table_is_named_and_left_out(written, tmp_path):
    run(tmp_path, "standard", 0, [[5, 1, 0], [0, 4, 2], [0, 0, 3]])
    torn = run(tmp_path, "standard", 1)
    (torn / "confusion.csv").write_text(written)
    found, notes = confusion(compared(tmp_path))
    assert found.counts["standard"][0] == [5, 1, 0]
    assert notes == [f"{torn.name}: confusion.csv is no table of counts; it is left out"]


def test_a_file_of_other_classes_is_named_and_left_out(tmp_path):
    run(tmp_path, "standard", 0, [[5, 1, 0], [0, 4, 2], [0, 0, 3]])
    other = run(tmp_path, "standard", 1)
    write_confusion(other, [[1, 0], [0, 1]], ("cat", "dog"))
    found, notes = confusion(compared(tmp_path))
    assert found.counts["standard"][0] == [5, 1, 0]
    assert notes == [f"{other.name}: confusion.csv is of other classes than the first; it is left out"]


def test_runs_without_such_files_have_no_such_sections(tmp_path):
    make_run(tmp_path)
    result = compared(tmp_path)
    write_report(result, result.runs, tmp_path / "out", ["compare"], samples=0)
    page = (tmp_path / "out" / "index.html").read_text()
    assert by_class(result) == []
    assert 'id="confusion"' not in page
    assert 'id="classes"' not in page
    assert 'id="samples"' not in page
