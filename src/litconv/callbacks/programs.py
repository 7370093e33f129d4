"""Where torch.compile keeps its programs between runs, on a home that machines share.

torch holds a lock for each of them, but its keys say nothing of the processor that `-march=native` means, and its compiler
writes into place. So the folder is one for each kind of processor, and the compiler's output is renamed when it is whole.
"""

import getpass
import hashlib
import os
import platform
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Any
from uuid import uuid4

from litconv import caches
from litconv.files import write_whole

VARIABLE = "TORCHINDUCTOR_CACHE_DIR"
WHOLE_OUTPUT = Path(__file__).with_name("whole_output.sh")
OF_A_PROCESSOR = ("vendor_id", "cpu family", "model", "model name", "flags", "CPU implementer", "CPU part", "Features")
MODES: dict[str, dict[str, Any]] = {  # as torch.compile has them: a mode and options cannot be given together
    "default": {},
    "reduce-overhead": {"triton.cudagraphs": True},
    "max-autotune": {"max_autotune": True, "triton.cudagraphs": True, "coordinate_descent_tuning": True},
}


def keep() -> None:
    """What the user has set stands; what torch, once imported, has set for itself does not: the temporary folder."""
    if os.environ.get(VARIABLE, own := torchs_choice()) == own:
        os.environ[VARIABLE] = str(caches.writable(caches.user_folder() / "torchinductor") / processor())


def torchs_choice() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name
        user = f"uid_{os.getuid()}"
    return f"{tempfile.gettempdir()}/torchinductor_{user}"


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """A name that processors share which have the same instructions and are tuned for alike."""
    try:
        first, _, _ = cpuinfo.read_text().partition("\n\n")
    except OSError:  # not Linux
        first = platform.processor()
    lines = [line.partition(":") for line in first.splitlines()]
    facts = sorted((name.strip(), value.strip()) for name, _, value in lines if name.strip() in OF_A_PROCESSOR)
    return f"{platform.machine()}-{hashlib.sha256(repr(facts or first).encode()).hexdigest()[:8]}"


def options(mode: str) -> dict[str, Any]:
    """Of torch.compile."""
    named = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")  # torch's choice
    return {**MODES[mode], "cpp.cxx": (None, shlex.quote(str(compiler(named))))}


def compiler(named: str) -> Path:
    """An executable that calls that one by way of `whole_output.sh`. Not every torch (2.11) takes a command of several words;
    by the file's name it knows g++ from clang++."""
    text = f'#!/bin/sh\nexec sh {shlex.quote(str(WHOLE_OUTPUT))} {named} "$@"\n'
    folder = Path(
        os.environ.get(VARIABLE) or torchs_choice(), "compilers", hashlib.sha256(text.encode()).hexdigest()[:8]
    )
    path = folder / Path([word for word in shlex.split(named) if not word.startswith("-")][-1]).name
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        made = folder / uuid4().hex
        write_whole(made, text.encode())
        made.chmod(0o755)
        made.replace(path)
    return path
