"""compile.enabled=true: the same figures, the same names in checkpoints, and a true account of what was compiled."""

import json
import subprocess

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from command import TINY, command
from litconv.callbacks.compilation import Compilation, failure

QUICK = (*TINY, "logger=csv")


def train(folder, *arguments):
    assert command(*QUICK, f"output_dir={folder}", *arguments) == 0
    written = max(folder.glob("runs/*/summary.json"), key=lambda path: path.stat().st_mtime_ns)
    return json.loads(written.read_text()), written.parent


@pytest.fixture
def traced(monkeypatch):
    """The compiler's front half, which takes a second; its programs run operation by operation."""

    def compile_module(self, options, dynamic):
        self._compiled_call_impl = torch.compile(self._call_impl, backend="aot_eager", dynamic=dynamic)

    monkeypatch.setattr(nn.Module, "compile", compile_module)


@pytest.mark.usefixtures("traced")
def test_a_compiled_run_has_the_figures_and_the_checkpoints_of_a_plain_one(tmp_path):
    plain, where = train(tmp_path, "epochs=2")
    compiled, there = train(tmp_path, "epochs=2", "compile.enabled=true")
    assert there != where
    for key in ("val/loss", "val/accuracy", "test/loss", "test/accuracy"):
        assert compiled[key] == pytest.approx(plain[key], rel=1e-3)
    one, other = (torch.load(folder / "checkpoints" / "best.ckpt")["state_dict"] for folder in (where, there))
    assert list(one) == list(other)
    # Evaluation is not compiled: no second program, and batches of any size.
    assert (compiled["compile/graphs"], compiled["compile/fallbacks"]) == (1, 0)
    assert compiled["compile/seconds"] > 0
    assert compiled["cost/macs"] == plain["cost/macs"]
    assert not [key for key in plain if key.startswith("compile/")]


class Varying(pl.LightningModule):
    """A new batch size, and so a new program, at every step."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Linear(4, 1), nn.ReLU())

    def train_dataloader(self):
        return torch.utils.data.DataLoader([torch.ones(size, 4) for size in range(2, 14)], batch_size=None)

    def training_step(self, x, index):
        return self.model(x).mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.usefixtures("traced")
def test_what_is_left_uncompiled_is_counted_and_said(tmp_path, caplog):
    module, compilation = Varying(), Compilation("default")
    trainer = pl.Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path, callbacks=[compilation],
    )  # fmt: skip
    trainer.fit(module)
    facts = compilation.facts()
    assert facts["compile/graphs"] == 8  # as many as torch makes of one function
    assert facts["compile/fallbacks"] == 1
    assert "the model was compiled in part only: 8 graphs" in caplog.text
    assert module.model._compiled_call_impl is None


def test_without_a_compiler_one_line_says_so_before_any_data_is_made(tmp_path, capsys, monkeypatch):

    monkeypatch.setenv("CXX", "no-such-compiler")
    assert command(*QUICK, "compile.enabled=true", f"output_dir={tmp_path}") == 1
    assert capsys.readouterr().err == (
        "error: compile.enabled=true cannot run here: there is no C++ compiler (no-such-compiler; CXX names another); "
        "install it, or remove compile.enabled\n"
    )
    assert not list(tmp_path.glob("runs/*"))


def test_a_failure_of_the_compiler_is_one_line_and_others_are_left_alone():
    from torch._dynamo.exc import BackendCompilerFailed

    error = BackendCompilerFailed(
        print, RuntimeError("C++ compile error\n\nCommand:\n g++ x.cpp\nx.cpp:3: error: no"), None
    )
    said = failure(error)
    assert said.startswith("compile.enabled=true: ")
    assert "\n" not in said
    assert failure(RuntimeError("of the model")) is None


@pytest.mark.slow
@pytest.mark.parametrize("operator", ["standard", "depthwise_separable", "deformable"])
def test_compiled_in_earnest_a_run_has_the_figures_of_a_plain_one(operator, tmp_path):
    plain, compiled = (train(tmp_path, f"conv={operator}", *more)[0] for more in ((), ("compile.enabled=true",)))
    assert compiled["test/loss"] == pytest.approx(plain["test/loss"], rel=1e-2)
    assert [compiled[f"compile/{count}"] for count in ("graphs", "graph_breaks", "fallbacks")] == [1, 0, 0]


@pytest.mark.slow
def test_jobs_of_a_sweep_compile_and_leave_no_process_behind(tmp_path):
    assert (
        command("-m", *QUICK, "conv=standard,grouped", "compile.enabled=true", f"output_dir={tmp_path}", "sweep=s") == 0
    )
    found = [json.loads(path.read_text()) for path in tmp_path.glob("sweeps/s/*/summary.json")]
    assert [summary["compile/graphs"] for summary in found] == [1, 1]
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert "compile_worker" not in running
