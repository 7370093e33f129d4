"""What the tests share: one thread a worker, and the models of an ablation's arms."""

import copy
import gc
import importlib
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
import torch
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.core_plugins.importlib_resources_config_source import ImportlibResourcesConfigSource
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import DictConfig, OmegaConf
from torch import nn

from litconv.build import model as build_model
from litconv.config.composed import compose

ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf" / "conv"
kept = tempfile.TemporaryDirectory(prefix="litconv-cache-")  # of this session, removed at its end
os.environ.setdefault("LITCONV_CACHE_DIR", kept.name)  # xdist's workers inherit the first one
os.environ["XDG_STATE_HOME"] = kept.name
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job inherits that it is ignored
torch.set_num_threads(1)  # two xdist workers share two cores: faster than fighting for them
gc.set_threshold(50_000, 20, 100)  # a fifth of the time went into looking through what torch's import leaves

LONG = ("test_sweep_kills.py", "test_compare_page.py", "test_sweeps.py")  # begun first, both workers end together


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))


@pytest.fixture(autouse=True)
def no_handler_of_ended_children_stays() -> Iterator[None]:
    """PyTorch's DataLoader installs one for good, on the alternate stack of signals, whose memory some library gives back: the
    next child that ends then ends this process by SIGSEGV, without a word. Seen in the minute-long test of the GPU script."""
    before = signal.getsignal(signal.SIGCHLD)
    yield
    signal.signal(signal.SIGCHLD, before)


@pytest.fixture(scope="session", autouse=True)
def yamls_are_parsed_once() -> Iterator[None]:
    """Hydra reads 25 for each of our thousand compositions, a quarter of their time; none of them changes meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        for source in (FileConfigSource, ImportlibResourcesConfigSource):
            patch.setattr(source, "load_config", parsed_once(source.load_config))
        yield


def parsed_once(load: Callable[..., ConfigResult]) -> Callable[..., ConfigResult]:
    known = {}

    def load_config(self: ConfigSource, config_path: str) -> ConfigResult:
        key = self.path, config_path
        if key not in known:
            known[key] = load(self, config_path)
        return copy.deepcopy(known[key])

    return load_config


@pytest.fixture(scope="module", autouse=True)
def imports_that_are_no_garbage() -> Iterator[None]:
    """Some libraries collect garbage at every call (statsmodels for one), which takes 0.1 s beside all that is imported."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def benchmark(monkeypatch) -> Iterator[Callable[[str], ModuleType]]:
    """benchmark(name): that file, imported as the script imports it."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in ("gpu", "gpu_bundle", "gpu_parts"):
            del sys.modules[name]


@cache
def composed(*overrides: str) -> DictConfig:
    """Hydra needs 0.15 s for one."""
    return compose(list(overrides))


@pytest.fixture(scope="session")
def arm() -> Callable[..., nn.Module]:
    """arm(operator, *overrides): the model of `conv=operator` and these, initialised from the seed."""

    def build(operator: str, *overrides: str) -> nn.Module:
        config = copy.deepcopy(composed(*overrides))
        config.conv = OmegaConf.load(CONF / f"{operator}.yaml")
        return build_model(config, in_channels=3, num_classes=10)

    return build
