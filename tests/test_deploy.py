"""Runs where they are deployed: deploy= in a run, scripts/deploy.py afterwards, scripts/cost.py without training."""

import json
import shutil

import numpy as np
import pytest
import torch
from torch import nn

from command import TINY, command
from litconv import build
from litconv.config.composed import compose
from litconv.config.spelling import as_hydra_reads
from litconv.cost.deployed_keys import DEPLOYED_FIGURES, Place
from litconv.deploy import scoring, session
from litconv.deploy.as_asked import as_asked
from litconv.deploy.record import Conditions, Record
from litconv.errors import ConfigError
from litconv.match import find_width
from litconv.run.asked import Asked
from litconv.runtimes.files import Files

QUICK = (*TINY, "logger=csv", "conv=grouped")
DEPLOY = ("deploy=onnxruntime", "deploy.seconds=0.001", "deploy.batch=2", "deploy.calibration.images=32")
SAME = ("runtime=onnxruntime", "seconds=0.001", "batch=2", "calibration.images=32")  # of scripts/deploy.py
PLACES = (Place("onnxruntime", "float32"), Place("onnxruntime", "int8"))


@pytest.fixture(scope="module")
def deployed_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deployed")
    assert command(*QUICK, *DEPLOY, f"output_dir={folder}") == 0
    return next((folder / "runs").iterdir())


@pytest.fixture
def run(deployed_run, tmp_path):
    """A copy to spoil."""
    return shutil.copytree(deployed_run, tmp_path / "runs" / deployed_run.name)


@pytest.fixture
def sweep(deployed_run, tmp_path):
    """Two seeds of one arm and one of another, of which the first alone was deployed."""
    folder = tmp_path / "sweeps" / "three"
    for name, arm in (("a_seed0", "a"), ("a_seed1", "a"), ("b_seed0", "b")):
        copy = shutil.copytree(deployed_run, folder / name)
        summary = json.loads((copy / "summary.json").read_text()) | {"name": name, "arm_hash": arm}
        (copy / "summary.json").write_text(json.dumps(summary))
        if name != "a_seed0":
            (copy / "deployed.json").unlink()
    return folder


def of(sweep) -> tuple[str, str]:
    return f"sweep={sweep.name}", f"output_dir={sweep.parents[1]}"


def written(run) -> dict:
    return json.loads((run / "deployed.json").read_text())


def deploy(*arguments: str) -> int:
    return command(*arguments, module="deploy")


def test_a_run_leaves_its_figures_and_how_they_were_measured(deployed_run):
    record, summary = written(deployed_run), json.loads((deployed_run / "summary.json").read_text())
    costs = {place.key(figure.key) for place in PLACES for figure in DEPLOYED_FIGURES}
    assert costs | {place.key("accuracy") for place in PLACES} <= record["figures"].keys()
    assert {key: value for key, value in summary.items() if key.startswith("deploy/")} == record["figures"]
    assert (record["threads"], record["batch"], record["calibrated_on"], record["split"]) == (1, 2, 32, "test")
    assert record["versions"].keys() == {"onnx", "onnxscript", "onnxruntime"}
    assert record["processor"]
    assert record["int8"]["in_int8"] == {"Conv": 9, "Gemm": 1}
    assert record["latencies_of"] == summary["name"]
    for name in ("accuracy", "ece"):
        assert record["figures"][f"deploy/onnxruntime/float32/{name}"] == pytest.approx(
            summary[f"test/{name}"], abs=1e-5
        )


def test_where_a_network_is_deployed_is_no_part_of_the_run():
    plain, deployed = (Asked.of(compose(list(more))) for more in ((), map(as_hydra_reads, DEPLOY)))
    assert plain.name == deployed.name
    assert plain.arm_hash == deployed.arm_hash
    assert plain.arm() == deployed.arm()


@pytest.mark.parametrize(
    ("written_as", "read"),
    [
        ("deploy=onnxruntime", "deploy.runtimes=[onnxruntime]"),
        ("deploy=onnxruntime,openvino", "deploy.runtimes=[onnxruntime,openvino]"),
        ("deploy=[openvino]", "deploy.runtimes=[openvino]"),
        ("deploy.precision=float32,int8", "deploy.precision=[float32,int8]"),
        ("runtime=onnxruntime,openvino", "runtime=[onnxruntime,openvino]"),
    ],
)
def test_several_runtimes_are_a_list_and_no_sweep(written_as, read):
    assert as_hydra_reads(written_as) == read


def test_what_was_measured_with_the_same_settings_is_passed_by(run, capsys):
    before = (run / "deployed.json").stat().st_mtime_ns
    assert deploy(f"run={run}", *SAME) == 0
    shown = capsys.readouterr().out
    assert "measured before with the same settings" in shown
    assert "ONNX Runtime int8" in shown.splitlines()[-1]
    assert (run / "deployed.json").stat().st_mtime_ns == before


@pytest.fixture
def measuring(monkeypatch):
    """What would be measured, as (run, whose costs were passed on), in place of measuring it."""
    calls = []

    def made(bench, config, task, data, name, checkpoint, costs=None, measured_on=""):
        calls.append((name, measured_on))
        figures = {place.key("accuracy"): 0.5 for place in bench.deploying.places}
        figures |= costs or {place.key("latency_ms"): 1.0 for place in bench.deploying.places}
        return Record(
            Conditions.of(bench.deploying, checkpoint), figures, measured_on or name, "test", None, {}, disturbed=[]
        )

    monkeypatch.setattr(session, "deployed", made)
    return calls


@pytest.mark.parametrize(
    "other",
    [
        "again=true",
        "threads=2",
        "batch=4",
        "seconds=0.002",
        "calibration.images=48",
        "calibration.method=entropy",
    ],
)
def test_other_settings_are_measured(run, measuring, other):
    asked = dict(argument.split("=") for argument in (*SAME, other))
    assert deploy(f"run={run}", *(f"{key}={value}" for key, value in asked.items())) == 0
    assert len(measuring) == 1


def test_float32_asks_for_no_calibration_and_keeps_the_figures_of_an_int8_that_had_one(run, measuring):
    before, float32 = written(run), [*SAME[:3], "precision=float32"]
    assert deploy(f"run={run}", *float32) == 0
    assert measuring == []
    assert deploy(f"run={run}", *float32, "again=true") == 0
    after = written(run)
    assert len(measuring) == 1
    assert after["figures"].keys() == before["figures"].keys()
    assert {key: after[key] for key in ("calibration", "calibrated_on", "int8")} == {
        key: before[key] for key in ("calibration", "calibrated_on", "int8")
    }


def test_another_checkpoint_is_measured(run, measuring):
    path = run / "checkpoints" / "best.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    torch.save(checkpoint | {"epoch": 7}, path)
    assert deploy(f"run={run}", *SAME) == 0
    assert len(measuring) == 1


def test_seeds_of_an_arm_share_what_one_of_them_was_measured_for(sweep, measuring, capsys):
    assert deploy(*of(sweep), *SAME) == 0
    first = written(sweep / "a_seed0")
    assert measuring == [("a_seed1", first["latencies_of"]), ("b_seed0", "")]
    key = "deploy/onnxruntime/int8/latency_ms"
    assert written(sweep / "a_seed1")["figures"][key] == first["figures"][key]
    rows = capsys.readouterr().out.splitlines()
    assert rows[0].startswith("[1/3] a_seed0  measured before")
    measuring.clear()
    assert deploy(*of(sweep), *SAME) == 0
    assert measuring == []


def test_what_is_done_stays_when_a_sweep_is_interrupted(sweep, measuring, monkeypatch, capsys):
    made = session.deployed

    def interrupted(bench, config, task, data, name, *rest):
        if name == "b_seed0":
            raise KeyboardInterrupt
        return made(bench, config, task, data, name, *rest)

    monkeypatch.setattr(session, "deployed", interrupted)
    assert deploy(*of(sweep), *SAME) == 130
    assert written(sweep / "a_seed1")["figures"]
    assert not (sweep / "b_seed0" / "deployed.json").exists()
    said = capsys.readouterr()
    assert "ONNX Runtime int8" in said.out, "the table of what is done"
    assert said.err.endswith("interrupted; give the same command again\n")


def test_a_run_that_cannot_be_deployed_is_said_and_the_others_go_on(sweep, measuring, capsys):
    (sweep / "a_seed1" / "checkpoints" / "best.ckpt").unlink()
    assert deploy(*of(sweep), *SAME) == 1
    captured = capsys.readouterr()
    assert measuring == [("b_seed0", "")]
    assert "[2/3] a_seed1  error: checkpoint=best is not in" in captured.err
    assert "error: 1 of 3 runs could not be deployed" in captured.err


def test_a_second_runtime_is_added_to_what_was_measured(run, measuring):
    before = written(run)
    assert deploy(f"run={run}", *SAME, "runtime=openvino") == 0
    after = written(run)
    assert before["figures"].items() < after["figures"].items()
    assert after["versions"].keys() - before["versions"].keys() == {"openvino"}
    assert after["int8"] == before["int8"]


BAD = {
    "runtime=onxruntime": "runtime=onxruntime: no such runtime (did you mean 'onnxruntime'?); choose from onnxruntime, openvino",
    "precision=int4": "precision=int4: no such precision (did you mean 'int8'?); choose from float32, int8",
    "precision=int8,int8": "precision=int8,int8 names a precision more than once; name each once",
    "threads=0": "threads=0 must be more than 0 and at most 512",
    "calibration.images=3": "calibration.images=3 must be at least 16",
    "calibration.method=max": "calibration.method=max must be minmax or entropy or percentile",
    "precision=float32 calibration.images=64": "calibration.images=64 has no effect: float32 has no ranges to calibrate; "
    "remove it, or add int8 to precision",
    "again=maybe": "again=maybe must be true or false",
}


@pytest.mark.parametrize(("argument", "message"), BAD.items())
def test_a_wrong_argument_is_one_line(deployed_run, capsys, argument, message):
    assert deploy(f"run={deployed_run}", *argument.split()) == 1
    assert capsys.readouterr().err == f"error: {message}\n"


def test_neither_run_nor_sweep_is_one_line(capsys):
    assert deploy() == 1
    assert capsys.readouterr().err.startswith("error: run=FOLDER or sweep=NAME says what is deployed; give one of them")


def test_a_run_without_a_checkpoint_is_one_line(run, capsys):
    (run / "checkpoints" / "best.ckpt").unlink()
    assert deploy(f"run={run}") == 1
    assert capsys.readouterr().err == f"error: checkpoint=best is not in {run}; there: last\n"


def test_a_training_set_too_small_to_calibrate_by_is_one_line(run, capsys):
    config = (
        (run / "config.yaml")
        .read_text()
        .replace("n_train: 64", "n_train: 12")
        .replace("batch_size: 16", "batch_size: 4")
    )
    (run / "config.yaml").write_text(config)
    assert deploy(f"run={run}", "runtime=onnxruntime") == 1
    expected = "error: the training split has 12 images, too few to calibrate int8 by (16 at least)"
    said = capsys.readouterr()
    assert said.err.startswith(expected)
    assert not said.out, "no table of what was measured before, with other settings"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["deploy=openvin"],
            "deploy=openvin: no such runtime (did you mean 'openvino'?); choose from onnxruntime, openvino",
        ),
        (
            ["deploy.precision=int8"],
            "deploy.precision=[int8] has no effect: nothing is deployed; add deploy=onnxruntime",
        ),
        (
            ["deploy=openvino", "deploy.precision=float32", "deploy.calibration.method=entropy"],
            "deploy.calibration.method=entropy has no effect: float32 has no ranges to calibrate; remove it, or add int8 to",
        ),
        (["deploy=openvino", "deploy.batch=0"], "deploy.batch=0 must be more than 0"),
    ],
)
def test_a_runs_wrong_deploy_is_one_line_before_it_trains(tmp_path, capsys, arguments, message):
    assert command(*QUICK, *arguments, f"output_dir={tmp_path}") == 1
    assert capsys.readouterr().err.startswith(f"error: {message}")


class Remembered:
    """A session whose answers are known."""

    def __init__(self, logits: np.ndarray) -> None:
        self.logits, self.at = logits, 0

    def __call__(self, images: np.ndarray) -> np.ndarray:
        self.at += len(images)
        return self.logits[self.at - len(images) : self.at]


def scored(monkeypatch, config, shape: tuple[int, ...]) -> tuple[dict[str, float], np.ndarray, np.ndarray, int]:
    """By random logits: the scores, the logits, the test split's targets, the ignored id."""
    data = build.data(config)
    data.setup("test")
    task = build.task(config, data)
    targets = torch.cat([y for _, y in data.test_dataloader()]).numpy()
    logits = np.random.default_rng(0).standard_normal((len(targets), data.num_classes, *shape), np.float32)
    monkeypatch.setattr(scoring, "opened", lambda *_: Remembered(logits))
    place, model = Place("openvino", "int8"), task.model
    found = scoring.scores(task, data, Files({place: None}, None))
    assert task.model is model
    return found, logits, targets, data.ignore_index


SHAPES = ("++data.n_train=32", "++data.n_val=16", "++data.n_test=40", "data.batch_size=16", "++data.image_size=16")


def test_accuracy_is_the_share_of_right_answers_of_the_session(monkeypatch):
    found, logits, labels, _ = scored(monkeypatch, compose(list(SHAPES)), ())
    assert found["deploy/openvino/int8/accuracy"] == pytest.approx((logits.argmax(1) == labels).mean())
    assert not any(key.endswith("loss") for key in found)


def test_miou_is_that_of_the_sessions_masks(monkeypatch):
    found, logits, masks, ignored = scored(monkeypatch, compose([*SHAPES, "task=segmentation"]), (16, 16))
    predicted, valid = logits.argmax(1), masks != ignored
    ious = []
    for number in range(logits.shape[1]):
        hit = ((predicted == number) & (masks == number) & valid).sum()
        union = (((predicted == number) | (masks == number)) & valid).sum()
        ious += [hit / union] if union else []
    assert found["deploy/openvino/int8/miou"] == pytest.approx(np.mean(ious))


def test_calibration_takes_training_images_without_augmentation():
    data = build.data(compose(["++data.n_train=40", "++data.n_val=8", "++data.n_test=8", "data.batch_size=8"]))
    data.setup("fit")
    chosen = data.training_images(24)
    split = data._splits["train"]
    mean, std = (torch.tensor(values)[:, None, None] for values in (data.mean, data.std))
    plain = (split.images.float() / 255 - mean) / std
    distances = torch.cdist(chosen.flatten(1), plain.flatten(1))
    assert distances.amin(1).max() < 0.1  # cdist rounds
    assert len(set(distances.argmin(1).tolist())) == 24
    assert torch.equal(chosen, data.training_images(24))
    assert len(data.training_images(1000)) == 40


def test_ratios_refer_to_the_width_that_was_asked_for():
    config = compose(["conv=grouped", "match=macs", "width=0.5"])
    asked = Asked.of(config)
    data = build.data(config)
    found = find_width(asked, data.problem, torch.device("cpu")).config
    kept = build_from(found, asked)
    assert kept.backbone.base_channels
    before, matched, again = (build.model(c, 3, 10) for c in (config, found, as_asked(kept, [])))
    assert params(matched) > params(before) == params(again)


def build_from(config, asked: Asked):
    """As config.yaml keeps it."""
    from omegaconf import OmegaConf

    return OmegaConf.create(asked.config_yaml(config))


def params(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_costs_without_training_have_columns_for_each_place(tmp_path, capsys):
    out = tmp_path / "costs.json"
    arguments = (
        "deploy=onnxruntime",
        "deploy.seconds=0.001",
        "deploy.batch=2",
        "deploy.calibration.images=16",
        f"out={out}",
    )
    assert command("width=0.5", *arguments, "sort=onnxruntime_int8_latency_ms", module="cost") == 0
    shown = capsys.readouterr().out
    for column in ("float32_latency_ms", "int8_latency_ratio", "int8_file_mb"):
        assert f"onnxruntime_{column}" in shown.splitlines()[0]
    assert "int8 has ranges by random images" in shown
    (row,) = json.loads(out.read_text())
    assert row["deploy/onnxruntime/int8/file_mb"] < row["deploy/onnxruntime/float32/file_mb"]


def test_a_run_alone_raises_what_a_sweep_says(run, monkeypatch, capsys):
    def refuse(*_):
        raise ConfigError("it cannot be")

    monkeypatch.setattr(session, "deployed", refuse)
    assert deploy(f"run={run}", *SAME, "again=true") == 1
    assert capsys.readouterr().err == "error: it cannot be\n"
