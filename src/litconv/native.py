"""Compiles a C++ source once for this machine, and finds it again in every later run.

The library lies in TORCH_EXTENSIONS_DIR (default: ~/.cache/torch_extensions), in a folder named by all that it depends
on: source, flags, versions and the instruction set. That is one of torch's own levels (AVX2, AVX512) rather than
`-march=native`, so that a home directory shared between machines serves all of them.
"""

import fcntl
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

log = logging.getLogger(__name__)

LEVELS = {"AVX2": ["-march=x86-64-v3"], "AVX512": ["-march=x86-64-v4"]}
FLAGS = [
    "-std=c++20",
    "-O3",
    "-fopenmp",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-Wno-psabi",
    *LEVELS.get(torch.backends.cpu.get_cpu_capability(), []),
]


class BuildError(RuntimeError):
    """Why there is no library, in one line."""


def library_of(source: Path, options: tuple[str, ...] = ()) -> Path:
    """The compiled source. One process compiles, others wait for it; a library is there whole or not at all."""
    flags = [*FLAGS, *options]
    folder = _folder(source, flags)
    library = folder / f"{source.stem}.so"
    if library.exists():
        return library
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _lock(folder / "lock"):
            if not library.exists():
                _compile(source, flags, folder / "build").replace(library)
                shutil.rmtree(folder / "build")
    except OSError as error:
        raise BuildError(str(error)) from error
    return library


def _folder(source: Path, flags: list[str]) -> Path:
    depends_on = (source.read_text(), flags, torch.__version__, platform.machine(), platform.libc_ver())
    key = hashlib.sha256(repr(depends_on).encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    root = Path(os.environ.get("TORCH_EXTENSIONS_DIR") or cache / "torch_extensions")
    return root / f"litconv_{source.stem}_{key}"


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """The kernel releases it when its holder dies."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("waiting for another process that compiles %s", path.parent)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _compile(source: Path, flags: list[str], folder: Path) -> Path:
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # it would tell of CUDA, which this is not
    from torch.utils import cpp_extension  # 0.5 s

    compiler = cpp_extension.get_cxx_compiler()
    if shutil.which(compiler) is None:
        raise BuildError(f"there is no C++ compiler ({compiler})")
    log.info("compiling the C++ kernel %s, once for this machine (5 to 20 s; kept in %s)", source.name, folder.parent)
    folder.mkdir(exist_ok=True)
    path = os.environ["PATH"]
    os.environ["PATH"] = f"{path}{os.pathsep}{Path(sys.executable).parent}"  # ninja, if the environment is not active
    try:
        built = cpp_extension.load(
            f"litconv_{source.stem}", [str(source)], flags, build_directory=str(folder), is_python_module=False
        )
    except (RuntimeError, subprocess.SubprocessError) as error:
        log.debug("%s", error)  # train.log keeps all of it
        lines = str(error).splitlines()
        raise BuildError(next((line for line in lines if "error:" in line), lines[0])) from error
    finally:
        os.environ["PATH"] = path
    return Path(built)
