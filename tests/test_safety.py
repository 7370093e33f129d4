"""What a configuration, an archive or a name must not do."""

import hashlib
import io
import json
import logging
import sys
import tarfile
import tomllib

import pytest
import torch
from torchvision import datasets

from command import ROOT, TINY, command
from litconv import secrets
from litconv.build import part, target
from litconv.config import targets
from litconv.config.composed import CONF, compose, load
from litconv.data.oxford_pet import OxfordPet
from litconv.data.torchvision_sets import CIFAR10
from litconv.data.voc import VOC
from litconv.errors import ConfigError, DataError
from litconv.run.log_file import LogFile

# -- what may be built -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        *("os.system", "subprocess.run", "builtins.eval", "numpy.load", "pickle.loads"),
        *("torch.load", "torch.hub.load", "torch.utils.cpp_extension.load", "torch.multiprocessing.spawn"),
        *("torch.nn.os.system", "litconv.run.summary.subprocess.run", "litconv.optim.torch.load"),
        *("torch.nn.functional.relu", "pytorch_lightning.LightningModule.load_from_checkpoint"),
        *("lightning_fabric.utilities.cloud_io._load", "torchmetrics.functional.accuracy", "litconv", "litconvert.X"),
        *("torchvision.datasets.utils.download_url", "torchnn.Linear", "", "litconv.errors.ConfigError.__init__"),
    ],
)
def test_only_named_packages_are_built_from(name):
    with pytest.raises(ConfigError, match=r"may not be built|cannot be loaded"):
        targets.resolve(name, [])


def test_what_the_configurations_name_may_be_built():
    names = {node["_target_"] for path in CONF.glob("*/*.yaml") if (node := load(path)) and "_target_" in node}
    assert len(names) > 25
    for name in (*names, "pytorch_lightning.callbacks.EarlyStopping", "pytorch_lightning.strategies.DDPStrategy"):
        assert callable(targets.resolve(name, []))


def test_hydra_alone_calls_what_any_file_names_and_here_it_is_refused_at_any_depth(tmp_path, capsys):
    from hydra.utils import instantiate

    marker = tmp_path / "called"
    instantiate({"_target_": "os.mkdir", "path": str(marker)})
    assert marker.is_dir()
    marker.rmdir()
    evil = f"{{_target_: os.mkdir, path: {marker}}}"
    for override in (
        f"+callbacks.extra.own={evil}",
        f"+callbacks.extra.own={{_target_: pytorch_lightning.callbacks.LambdaCallback, on_fit_start: {evil}}}",
        f"+trainer.plugins=[{evil}]",
        f"++head.dropout={evil}",
    ):
        assert command(*TINY, override, "logger=csv", f"output_dir={tmp_path}") == 1
        assert "_target_=os.mkdir may not be built" in capsys.readouterr().err
        assert not marker.exists()


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (["+hydra.callbacks.own={evil}"], "hydra.callbacks.own._target_"),
        (["~hydra.callbacks.pareto", "+hydra.callbacks.own={evil}"], "hydra.callbacks.own._target_"),
        (
            ["+hydra.callbacks.own={{_target_: litconv.sweep.pareto.ParetoFile, a: [{evil}]}}"],
            "hydra.callbacks.own.a[0]",
        ),
        (["+hydra.callbacks.own=${{trainer.own}}", "+trainer.own={evil}"], "hydra.callbacks.own._target_"),
        (["-m", "seed=0,1", "+hydra.callbacks.own={evil}"], "hydra.callbacks.own._target_"),
        (["-m", "seed=0,1", "hydra.sweeper._target_=os.mkdir"], "hydra.sweeper._target_"),
        (["-m", "seed=0,1", "hydra/launcher=basic", "hydra.launcher._target_=os.mkdir"], "hydra.launcher._target_"),
        (["-m", "seed=0,1", "hydra/launcher=basic", "+hydra.launcher.own={evil}"], "hydra.launcher.own._target_"),
        (["-m", "seed=0,1", "+hydra.sweeper.own={evil}"], "hydra.sweeper.own._target_"),
    ],
)
@pytest.mark.parametrize("name", ["os.mkdir", "subprocess.Popen"])
def test_what_hydra_itself_builds_is_held_to_the_same_rule(tmp_path, capsys, arguments, key, name):
    marker = tmp_path / "called"
    evil = f"{{_target_: {name}, path: {marker}}}"
    written = [a.format(evil=evil).replace("_=os.mkdir", f"_={name}") for a in arguments]
    assert command(*TINY, *written, "logger=csv", f"output_dir={tmp_path}") == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"error: {key}")
    assert f"{name} may not be built: a configuration names classes of litconv" in error
    assert not marker.exists()


def test_hydras_own_callbacks_and_those_of_a_package_that_is_named_are_built(tmp_path, monkeypatch):
    (tmp_path / "own_callback.py").write_text(
        "from hydra.experimental.callback import Callback\nseen = []\n"
        "class Own(Callback):\n    def on_run_start(self, config, **kwargs): seen.append(config.seed)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    own = ("+hydra.callbacks.own._target_=own_callback.Own", "allowed_packages=[own_callback]")
    theirs = "+hydra.callbacks.log._target_=hydra.experimental.callbacks.LogJobReturnCallback"
    assert command(*TINY, *own, theirs, "seed=7", "logger=csv", f"output_dir={tmp_path}") == 0
    assert sys.modules.pop("own_callback").seen == [7]


def test_a_users_own_package_is_allowed_on_purpose(tmp_path, monkeypatch):
    package = tmp_path / "my_package"
    package.mkdir()
    (package / "__init__.py").write_text("from torch import nn\nclass Norm(nn.Module): pass\nfrom os import system\n")
    monkeypatch.syspath_prepend(tmp_path)
    config = compose(["optim._target_=my_package.Norm", "allowed_packages=[my_package]"])
    assert target(config.optim).__name__ == "Norm"
    with pytest.raises(
        ConfigError, match=r"optim\._target_=my_package\.Norm may not be built: .*allowed_packages=\[my_package\]"
    ):
        target(compose(["optim._target_=my_package.Norm"]).optim)
    with pytest.raises(ConfigError, match="may not be built"):
        part(compose(["optim._target_=my_package.system", "allowed_packages=[my_package]"]).optim)
    sys.modules.pop("my_package")


# -- keys and tokens ---------------------------------------------------------------------------------------------------

KEY = "0123456789abcdef" * 2


@pytest.mark.parametrize(
    ("argument", "where"),
    [
        (f"data.root={KEY}", "data.root"),
        (f"output_dir=/tmp/{KEY}", "output_dir"),
        ("data.root=https://user:pass4word@example.org/data", "data.root"),
        ("data.root=${oc.env:MY_API_KEY}", "data.root"),
        ("+callbacks.extra={own: {_target_: litconv.callbacks.Timing, api_key: abc}}", "callbacks.extra.own.api_key"),
    ],
)
def test_a_key_in_the_configuration_is_refused_without_repeating_it(tmp_path, monkeypatch, capsys, argument, where):
    monkeypatch.setenv("MY_API_KEY", KEY)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    chosen = () if "callbacks" in argument or "output" in argument else ("data=image_folder",)
    folder = () if "output" in argument else (f"output_dir={tmp_path}",)
    assert command(*chosen, argument, "logger=csv", *folder) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {where} holds a key or password")
    assert KEY not in error
    assert "pass4word" not in error


def test_a_key_reaches_neither_log_nor_summary_nor_wandb(tmp_path, monkeypatch):
    from litconv.fit import training

    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_MODE", "offline")

    def fail(*unused):
        logging.getLogger("some.library").warning("posting with %s", KEY)
        raise DataError(f"https://me:pass4word@example.org refused {KEY}")

    monkeypatch.setattr(training, "test", fail)
    assert command(*TINY, f"output_dir={tmp_path}") == 1
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.suffix == ".wandb" for path in files)
    for path in files:
        content = path.read_bytes()
        assert KEY.encode() not in content, path
        assert b"pass4word" not in content, path
    assert "posting with [secret]" in next(tmp_path.rglob("train.log")).read_text()
    assert "refused [secret]" in json.loads(next(tmp_path.rglob("summary.json")).read_text())["error"]


@pytest.mark.parametrize("name", ["tokens", "keyboard", "secretary", "monkey", "PATH"])
def test_other_words_are_no_secrets(name):
    assert not secrets.NAME.search(name)
    secrets.refuse({"data": {name: "value"}})


def test_a_log_on_a_full_disk_costs_one_line(tmp_path, capsys):
    handler = LogFile(tmp_path / "train.log")
    handler.stream.close()
    handler.stream = open("/dev/full", "w")  # noqa: PTH123, SIM115
    logger = logging.getLogger("full")
    logger.addHandler(handler)
    logger.warning("one")
    logger.warning("two")
    logger.removeHandler(handler)
    handler.stream = None
    assert capsys.readouterr().err.count("cannot be written ([Errno 28] No space left on device); the run goes on") == 1


# -- archives ----------------------------------------------------------------------------------------------------------


def hostile_tar(path):
    with tarfile.open(path, "w:gz") as tar:
        member = tarfile.TarInfo("../../outside.txt")
        member.size = 4
        tar.addfile(member, io.BytesIO(b"evil"))


@pytest.mark.parametrize(
    ("make", "archive"),
    [
        (CIFAR10, "cifar-10-python.tar.gz"),
        (VOC, "VOCtrainval_11-May-2012.tar"),
        (OxfordPet, "oxford-iiit-pet/images.tar.gz"),
    ],
)
def test_an_archive_that_is_not_the_published_one_is_not_unpacked(tmp_path, monkeypatch, make, archive):
    root = tmp_path / "data"
    fetched = []

    def fetch(url, filename, **unused):
        fetched.append(url)
        hostile_tar(filename)

    monkeypatch.setattr("torchvision.datasets.utils._urlretrieve", fetch)
    monkeypatch.setattr("torchvision.datasets.utils._get_redirect_url", lambda url, **unused: url)
    with pytest.raises(DataError, match=r"could not be fetched to data\.root="):
        make(root=str(root), download=True).prepare_data()
    assert fetched
    left = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {archive.rpartition("/")[2], ".fetching.lock"}


def test_an_archive_with_the_right_checksum_still_unpacks_inside_its_folder_only(tmp_path, monkeypatch):
    root = tmp_path / "a" / "b"
    root.mkdir(parents=True)
    archive = root / "cifar-10-python.tar.gz"
    hostile_tar(archive)
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
    with pytest.raises(DataError):
        CIFAR10(root=str(root), download=True).prepare_data()
    assert not list(tmp_path.rglob("outside.txt"))
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert wanted == ">=3.11.4"  # from which on tarfile can refuse


# -- checkpoints are data ----------------------------------------------------------------------------------------------


class Evil:
    def __reduce__(self):
        return (print, ("called",))


def test_a_checkpoint_that_holds_code_does_not_run_it_and_the_training_starts_anew(tmp_path, capsys, caplog):
    assert command(*TINY, "logger=csv", f"output_dir={tmp_path}") == 0
    (folder,) = (tmp_path / "runs").iterdir()
    (folder / "summary.json").write_text('{"status": "interrupted"}')
    torch.save({"state_dict": {}, "evil": Evil()}, folder / "checkpoints" / "last.ckpt")
    capsys.readouterr()
    assert command(*TINY, "logger=csv", f"output_dir={tmp_path}") == 0
    assert "called" not in capsys.readouterr().out
    assert "more than plain types); training starts anew" in caplog.text
