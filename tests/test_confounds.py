"""What else than the operator an arm changes: stated by the operators' classes, named for each arm."""

import importlib
import subprocess
import sys

import pytest
import torch

from litconv.compare import analyse, load
from litconv.compare.confounds import confounds, of_arms, operator
from litconv.compare.report import write_report
from litconv.config.labels import own_targets
from litconv.config.signatures import signature
from litconv.conv import Deformable, DepthwiseSeparable
from litconv.conv.slot import lr_scale_of
from made_runs import make_run


def named(conv, **options):
    return confounds({"choices.conv": conv, **options})


@pytest.mark.parametrize("conv", own_targets("conv"))
def test_what_is_read_of_a_class_is_what_the_class_says_and_of_options_that_it_has(conv):
    declared = operator(conv)
    module, _, name = own_targets("conv")[conv].rpartition(".")
    kind = getattr(importlib.import_module(module), name)
    assert declared.constants.get("confounds", {}) == getattr(kind, "confounds", {})
    options = {condition.partition("=")[0] for condition in declared.constants.get("confounds", {})} - {""}
    assert options <= signature(own_targets("conv")[conv]).parameters.keys()


def test_the_rate_of_the_offsets_is_the_one_that_is_said():
    (clause,) = named("deformable")
    assert f"{lr_scale_of(Deformable(4, 4).offset):g} of that of all other layers" in clause


def test_the_norm_between_the_halves_is_named_where_it_is_and_where_it_is_not():
    for norm in (True, False):
        (clause,) = named("depthwise_separable", **{"conv.norm_between": norm})
        has_norm = any(
            isinstance(m, torch.nn.BatchNorm2d) for m in DepthwiseSeparable(4, 4, norm_between=norm).modules()
        )
        assert clause.startswith("a batch norm" if has_norm else "neither norm")
    assert named("depthwise_separable") == named("depthwise_separable", **{"conv.norm_between": False})


def test_a_stage_of_its_own_is_named_with_its_number():
    (clause,) = named("standard", **{"choices.conv@conv_stage3": "deformable"})
    assert clause == f"in stage 3: {named('deformable')[0]}"


@pytest.mark.parametrize("conv", ["standard", "grouped", "Own", "None"])
def test_of_an_operator_without_any_and_of_a_users_own_nothing_is_said(conv):
    assert named(conv) == []


def test_a_width_other_than_the_references_is_named_and_the_page_lists_it(tmp_path):
    make_run(tmp_path, "standard")
    make_run(tmp_path, "grouped", config={"width": 1.34})
    make_run(tmp_path, "deformable")
    runs = load(tmp_path)
    result = analyse(runs, "made")
    found = dict(of_arms(result.arms, result.references))
    assert list(map(len, found.values())) == [1, 1]
    (grouped,) = (name for name in found if name.startswith("grouped"))
    assert found[grouped][0].startswith("another width than the reference's")
    write_report(result, runs, tmp_path / "out", [])
    page = (tmp_path / "out" / "index.html").read_text()
    section = page.partition('<section id="confounds">')[2].partition("</section>")[0]
    assert section.count("<li ") == 2
    assert "a learning rate of its own" in section


def test_no_torch_is_imported_for_it():
    script = (
        "import sys; from litconv.compare.confounds import confounds; "
        "assert confounds({'choices.conv': 'deformable'}); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
