"""table.tex and table.md: the columns that were asked for, the best in bold."""

import re

import pytest

from command import command
from litconv.compare import analyse, load
from litconv.compare.columns import best, chosen, columns
from litconv.compare.report import write_report
from litconv.compare.table_files import LATEX, latex
from made_runs import make_run


@pytest.fixture
def result(tmp_path):
    for seed in range(2):
        make_run(tmp_path, "standard", seed, 0.95 + seed / 100, summary={"test/ece": 0.1, "test/macro_f1": 0.8})
        make_run(tmp_path, "dilated", seed, 0.95 + seed / 100, summary={"test/ece": 0.2, "test/macro_f1": 0.9})
        make_run(tmp_path, "depthwise_separable", seed, 0.9, summary={"test/ece": 0.3, "test/macro_f1": 0.7})
    return analyse(load(tmp_path / "sweeps"), "50% of_R&D #1")


def rows(tex):
    """The cells of the tabular, split at what LaTeX splits at."""
    body = tex.partition(r"\toprule")[2].partition(r"\bottomrule")[0].replace(r"\midrule", "")
    return [
        re.split(r"(?<!\\)&", line.strip().removesuffix(r"\\")) for line in body.strip().splitlines() if line.strip()
    ]


def test_a_latex_table_is_whole(result):
    """What pdflatex would stop at: unbalanced braces and environments, rows of unlike lengths, bare special characters."""
    tex = latex(result, chosen(result, None))
    assert re.findall(r"\\(?:begin|end)\{(\w+)\}", tex) == ["table", "tabular", "tabular", "table"]
    assert [tex.count(rf"\{rule}") for rule in ("toprule", "midrule", "bottomrule")] == [1, 1, 1]
    bare = re.sub(r"\\[{}]", "", tex)
    assert bare.count("{") == bare.count("}")
    (spec,) = re.findall(r"\\begin\{tabular\}\{([lr]+)\}", tex)
    assert {len(row) for row in rows(tex)} == {len(spec)}
    assert len(rows(tex)) == 1 + len(result.arms)
    code = tex.partition("\n")[2]  # after the comment that names the package
    assert not re.search(r"(?<!\\)[%#_]", code)
    assert code.count("$") % 2 == 0
    assert code.isascii()
    assert r"\caption{Test top-1 accuracy on shapes, 2 seeds an arm: mean $\pm$ standard deviation." in tex
    assert r"\label{tab:50-of-R-D-1}" in tex


@pytest.mark.parametrize(
    "text", [r"a\b", "50 %", "a_b", "#1 & $2", "{x}", "~^", "[1] <2>", "± − × ÷ – ≤ …", 'say "it"']
)
def test_special_characters_of_names_are_escaped(text):
    escaped = text.translate(LATEX)
    assert escaped.isascii()
    assert escaped.count("{") - escaped.count(r"\{") == escaped.count("}") - escaped.count(r"\}")
    assert not re.search(r"(?<!\\)[%#&_]", escaped)


def test_the_best_of_each_column_is_bold_and_a_tie_is_bold_twice(result):
    shown = chosen(result, ["arm", "score", "macs", "params", "ece", "macro_f1", "gap"])
    by_name = {column.name: best(column, result.arms) for column in shown}
    assert by_name == {
        "arm": set(),
        "score": {"standard", "dilated"},
        "macs": {"depthwise_separable"},
        "params": {"depthwise_separable"},
        "ece": {"standard"},  # less is better
        "macro_f1": {"dilated"},
        "gap": set(),
    }
    tex = latex(result, shown)
    assert tex.count(r"\textbf{0.9550} $\pm$ 0.0071") == 2
    assert r"\textbf{2.48 M} (0.20$\times$)" in tex
    assert tex.count(r"\textbf{") == 6


def test_one_arm_has_no_best(tmp_path):
    make_run(tmp_path)
    alone = analyse(load(tmp_path), "made")
    assert r"\textbf" not in latex(alone, chosen(alone, None))


def test_both_tables_have_the_columns_that_were_asked_for_in_their_order(result, tmp_path):
    write_report(result, result.runs, tmp_path / "out", ["compare"], samples=0, columns=["verdict", "arm", "latency"])
    markdown = [line.strip("| ").split(" | ") for line in (tmp_path / "out" / "table.md").read_text().splitlines()]
    assert markdown[0] == ["verdict", "arm", "latency (ms)"]
    assert [cell.strip() for cell in rows((tmp_path / "out" / "table.tex").read_text())[0]] == markdown[0]
    assert {row[1] for row in markdown[2:]} == {arm.name for arm in result.arms}


def test_the_usual_columns_are_the_comparison_and_the_costs_of_the_table(result):
    assert [column.name for column in chosen(result, None)] == [
        *("arm", "seeds", "score", "gap", "interval", "p", "p_other", "verdict"),
        *("macs", "params", "activations", "latency", "seconds"),
    ]


def test_every_short_name_is_a_column_that_can_be_filled(result):
    for name, column in columns(result).items():
        assert re.fullmatch(r"[a-z0-9_]+", name)
        assert all(isinstance(column.cell(arm), str) for arm in result.arms)


def test_a_column_that_there_is_not_is_refused_before_anything_is_written(tmp_path, capsys):
    make_run(tmp_path)
    assert command(f"output_dir={tmp_path}", "sweep=made", "columns=[arm,mac]", module="compare") == 1
    said = capsys.readouterr().err
    assert said.startswith(
        "error: columns: no column mac (did you mean 'macs'?); there: arm, width, seeds, score, macs"
    )
    assert said.count("\n") == 1
    assert not (tmp_path / "compare").exists()
    assert command(f"output_dir={tmp_path}", "sweep=made", "columns=[]", module="compare") == 1
    assert "columns=[] names no column" in capsys.readouterr().err
