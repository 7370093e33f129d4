"""Compiles a C++ source once for this machine, and finds it again in every later run.

The library lies in TORCH_EXTENSIONS_DIR (default: ~/.cache/torch_extensions), in a folder named by all that it depends
on: source, flags, versions and the instruction set. That is one of torch's own levels (AVX2, AVX512) rather than
`-march=native`, so that a home directory shared between machines serves all of them. A machine that cannot write there
compiles into a folder of its own.

The compiler is a process of its own: what can do without the library need not wait for it, and a run that is
interrupted meanwhile leaves a compiler that finishes, for the next one.
"""

import fcntl
import hashlib
import logging
import os
import platform
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, TextIO

import torch
from tqdm import tqdm

from litconv import caches

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
TORCH = Path(torch.__file__).parent
HEADERS = [f"-isystem{TORCH / 'include'}", f"-isystem{TORCH / 'include/torch/csrc/api/include'}"]
ABI = f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}"
# No -fopenmp here: the functions of OpenMP are those of the runtime that torch brings, or there would be two.
LIBRARIES = [f"-L{TORCH / 'lib'}", "-lc10", "-ltorch_cpu", "-ltorch"]
LOOK_SECONDS = 0.1


class BuildError(RuntimeError):
    """Why there is no library, in one line."""


def library_of(source: Path) -> Path:
    """The compiled source; waits for it where it is not there yet."""
    compilation = Compilation(source)
    if not compilation.is_done():
        begun = "waiting for another process that compiles" if compilation.compiler is None else "compiling"
        seconds, folder = compilation.expected_seconds(), compilation.library.parent
        log.info("%s the C++ kernel %s, once for this machine: about %d s (%s)", begun, source.name, seconds, folder)
        compilation.wait()
    return compilation.library


class Compilation:
    """Of one source. One process compiles, others see that it does; a library is there whole or not at all."""

    def __init__(self, source: Path, options: tuple[str, ...] = (), usual_seconds: float = 4) -> None:
        self.source, self.flags = source, [*FLAGS, *options]
        self.usual_seconds = usual_seconds  # on a core that has nothing else to do
        self.command = shlex.split(os.environ.get("CXX", "c++"))
        try:
            self.library = _library(source, self.flags)
        except OSError as error:
            raise BuildError(str(error)) from error
        self.build, self.errors = (self.library.parent / name for name in ("build", "errors"))
        self.compiler: subprocess.Popen | None = None

    def is_done(self) -> bool:
        """Whether the library is there. Where it is not and nobody compiles it, this begins to. Raises BuildError."""
        if self.library.exists():
            return True
        if self.compiler is None:
            self._begin()
        elif self.compiler.poll() is not None and not self.library.exists():
            raise BuildError(self._reason())
        return self.library.exists()

    def wait(self) -> None:
        """With the time left, on a terminal."""
        began, expected = time.monotonic(), self.expected_seconds()
        with tqdm(
            total=expected,
            desc=f"compiling {self.source.name}",
            bar_format="{desc} {percentage:3.0f}%|{bar}| {elapsed}, about {postfix[0]} s left",
            postfix=[expected],
            leave=False,
            disable=not sys.stderr.isatty(),
        ) as bar:
            while not self.is_done():
                time.sleep(LOOK_SECONDS)
                passed = time.monotonic() - began
                bar.n, bar.postfix = min(passed, 0.99 * expected), [max(round(expected - passed), 1)]
                bar.refresh()

    def expected_seconds(self) -> int:
        """More on a machine that is busy."""
        return round(self.usual_seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)))

    def _begin(self) -> None:
        """Nothing, where another process compiles it; once that has ended without a library, this one does."""
        if shutil.which(self.command[0]) is None:
            raise BuildError(f"there is no C++ compiler ({self.command[0]})")
        try:
            self.library.parent.mkdir(parents=True, exist_ok=True)
            with (self.library.parent / "lock").open("a") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return
                if not self.library.exists():
                    self.compiler = self._started(lock)
        except OSError as error:
            raise BuildError(str(error)) from error

    def _started(self, lock: TextIO) -> subprocess.Popen:
        """It holds the lock as long as it runs, and Ctrl-C does not reach it.

        A library that is there is never replaced: it would fail under another node that has mapped it. NFS may go on
        saying for half a minute that there is none, until this node has changed the folder: `mkdir` comes first.
        """
        made, linked = self.build / "made.o", self.build / self.library.name
        begin = [["rm", "-rf", self.build], ["mkdir", self.build]]
        make = [
            [*self.command, *self.flags, ABI, *HEADERS, "-fPIC", "-c", self.source, "-o", made],
            [*self.command, made, "-shared", *LIBRARIES, "-o", linked],
            ["sync", linked],
            ["ln", linked, self.library],
        ]
        begun, whole, end = map(_in_turn, (begin, make, [["rm", "-rf", self.build, self.errors]]))
        script = f"{begun} && {{ {shlex.join(['test', '-e', str(self.library)])} || {{ {whole}; }}; }} && {end}"
        with self.errors.open("w") as errors:
            return subprocess.Popen(
                ["sh", "-c", script],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                pass_fds=[lock.fileno()],
                start_new_session=True,
            )

    def _reason(self) -> str:
        """The first error that the compiler prints; train.log keeps all of it."""
        said = self.errors.read_text() if self.errors.exists() else ""
        log.debug("%s", said)
        lines = said.splitlines() or [f"{self.command[0]} ended with status {self.compiler.returncode}"]
        return next((line for line in lines if "error:" in line), lines[0])


def _in_turn(steps: list[list[Any]]) -> str:
    return " && ".join(shlex.join(map(str, step)) for step in steps)


def _library(source: Path, flags: list[str]) -> Path:
    """Where it is or will be. What lies in a folder that cannot be written is used all the same."""
    depends_on = (source.read_text(), flags, torch.__version__, platform.machine(), platform.libc_ver())
    key = hashlib.sha256(repr(depends_on).encode()).hexdigest()[:12]
    shared, library = (
        caches.folder("TORCH_EXTENSIONS_DIR", "torch_extensions"),
        f"litconv_{source.stem}_{key}/{source.stem}.so",
    )
    return (shared if (shared / library).exists() else caches.writable(shared)) / library
