"""The command `litconv`: `litconv train conv=grouped groups=4` is `python train.py conv=grouped groups=4` of a clone.

It runs the script of that name as Python would. Without a name it lists them; neither imports anything of size.
"""

import os
import re
import runpy
import sys
from pathlib import Path

from litconv import __version__
from litconv.config.places import IN_WHEEL, commands
from litconv.errors import did_you_mean

FRONT = "LITCONV_FRONT"  # set by this command for itself and for all that it starts


def main() -> int:
    name, arguments = (sys.argv[1:2] or ["--help"])[0], sys.argv[2:]
    known = commands()
    if name in ("-h", "--help", "help"):
        print(listed(known))
        return 0
    if name == "--version":
        print(__version__)
        return 0
    if name not in known:
        print(f"error: {unknown(name, list(known))}", file=sys.stderr)
        return 1
    os.environ[FRONT] = "litconv"
    sys.argv = [str(known[name]), *arguments]
    runpy.run_path(sys.argv[0], run_name="__main__")  # which exits itself
    return 0


def listed(known: dict[str, Path]) -> str:
    """Each with the first line that its script says of itself."""
    lines = [f"  {name:<10}  {as_written(first_line(path), ['litconv'])}" for name, path in known.items()]
    return "\n".join(
        [
            "Which convolution should my model use, and what does it cost?\n",
            *lines,
            "\nlitconv COMMAND --help says what a command takes.",
            "Yours: --config-dir FOLDER adds a folder of your yamls, allowed_packages=[my_package] your classes.",
        ]
    )


def first_line(script: Path) -> str:
    return script.read_text().partition("\n")[0].strip('"')


def unknown(name: str, known: list[str]) -> str:
    if "=" in name or name.startswith("-"):
        return f"litconv {name}: a command comes first, such as litconv train {name}; commands: {', '.join(known)}"
    return f"litconv {name}: no such command{did_you_mean(name, known)}; commands: {', '.join(known)}"


def spelled(command: str) -> list[str]:
    """How whoever started this process writes a command: `litconv train`, or `python train.py` in a clone."""
    if IN_WHEEL or FRONT in os.environ:
        return ["litconv", command]
    return ["python", "train.py" if command == "train" else f"scripts/{command}.py"]


def as_written(text: str, front: list[str] | None = None) -> str:
    """A text that names commands as a clone has them, with the commands as this user writes them."""

    def name(match: re.Match[str]) -> str:
        command = match[1] or "train"
        return " ".join([*front, command] if front else spelled(command))

    return re.sub(r"python (?:train|scripts/(\w+))\.py", name, text)
