"""Where litconv's yamls and commands lie: inside the package, as a wheel has them, or at the top of a clone.

A wheel takes conf/ in as litconv/conf, and train.py and scripts/ as litconv/commands (pyproject.toml). An editable
installation is a clone.
"""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
CLONE = PACKAGE.parents[1]
IN_WHEEL = (PACKAGE / "conf").is_dir()
CONF = PACKAGE / "conf" if IN_WHEEL else CLONE / "conf"


def commands() -> dict[str, Path]:
    """The name of each command → its script; `train` first."""
    scripts = (PACKAGE / "commands" if IN_WHEEL else CLONE / "scripts").glob("*.py")
    train = PACKAGE / "commands" / "train.py" if IN_WHEEL else CLONE / "train.py"
    return {path.stem: path for path in [train, *sorted(scripts)]}
