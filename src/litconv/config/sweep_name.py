"""What a sweep is called, and so the folder of its runs."""

import hashlib
import re

from litconv.config.root_keys import NAMELESS_KEYS, SWEEP
from litconv.errors import ConfigError

# Of the launch and of this machine, not of what is swept: they do not change a sweep's name.
LAUNCH_ARGUMENTS = re.compile(
    rf"({'|'.join(NAMELESS_KEYS)}|output_dir|details|logger[^=]*|cost[^=]*|deploy[^=]*|hydra[./]launcher[^=]*|hydra\.searchpath)="
)


def check_sweep_name(name: str) -> None:
    if not SWEEP.holds(name):
        raise ConfigError(f"sweep={name} must be {SWEEP.words}")


def name_the_sweep(argv: list[str]) -> None:
    """Give a multirun without `sweep=NAME` a name that its own arguments determine, so that the same command resumes
    the same sweep: that of the recipe where `experiment=` stands alone."""
    if any(a.startswith("sweep=") for a in argv):
        return
    swept = sorted(a for a in argv[1:] if not LAUNCH_ARGUMENTS.match(a))
    recipe = next((a.partition("=")[2] for a in swept if re.fullmatch(r"\+?experiment=\w+", a)), None)
    digest = hashlib.sha256(repr(swept).encode()).hexdigest()[:8]
    alone = recipe and all(a == "-m" or "experiment=" in a for a in swept)
    argv.append(f"sweep={recipe}" if alone else f"sweep={recipe or 'sweep'}-{digest}")
