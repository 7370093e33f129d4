"""What went wrong, in one line, with the nearest name that would be right."""

import re
import sys

from hydra.errors import InstantiationException, OverrideParseException

from litconv.config.keys import choices_that_take, keys_near
from litconv.config.own_yamls import options as stems
from litconv.errors import did_you_mean
from litconv.files import of_full_disk

EXTRAS = {
    "hydra/launcher/joblib": "joblib",
    "hydra/sweeper/optuna": "search",
}
LISTS = {
    "image_size",
    "crop_size",
    "scale",
    "mean",
    "std",
    "milestones",
    "devices",
    "allowed_packages",
    "folders",
    "betas",
}
# Of the one logger that there was; today's names have the logger's own between.
BEFORE = {f"logger.{option}": f"logger.wandb.{option}" for option in ("project", "mode", "timeout_seconds")}
LOGGER_OF_ONES_OWN = "+logger.NAME._target_=package.module.Class"


def place_of(filename: str, config_name: str) -> str:
    """The key that moves what is written there: the one of the command line that names it, or the command's own."""
    given = dict(argument.split("=", 1) for argument in sys.argv[1:] if "=" in argument)
    named = [key for key in ("out", "pack", "output_dir") if given.get(key) and filename.startswith(given[key])]
    return named[0] if named else "out" if config_name in ("predict", "export", "cost") else "output_dir"


def one_line(error: BaseException, config_name: str = "train") -> str:
    """What went wrong, in one line: Hydra's own multi-line messages are rewritten, with the nearest valid name of those
    that this configuration of conf/ takes."""
    if isinstance(error, OSError) and error.filename:
        key = place_of(str(error.filename), config_name)
        or_else = "make room" if of_full_disk(error) else "check its permissions"
        return f"{error.filename}: {error.strerror}; choose another place with {key}=…, or {or_else}"
    if isinstance(error, MemoryError):
        return f"out of memory ({' '.join(str(error).split())}); a smaller data set, batch or model needs less"
    if isinstance(error, InstantiationException) and error.__cause__ is not None:
        return one_line(error.__cause__, config_name)
    text = str(error)
    if match := re.search(r"Could not (?:find|load) '([^']+)/([^'/]*)'", text):
        group, name = match.groups()
        if extra := EXTRAS.get(f"{group}/{name}"):
            return f"{group}={name} is not installed: pip install 'litconv[{extra}]'"
        options = re.findall(r"^\t(.+)$", text.partition("Config search path")[0], flags=re.MULTILINE) or stems(group)
        place = next(
            (key for key, _, value in (a.partition("=") for a in sys.argv[1:]) if value == name and "@" in key), group
        )
        return f"{place}={name}: no such {group}{did_you_mean(name, options)}; choose from {', '.join(options)}"
    if match := re.search(r"Could not override '([^']+)'", text):
        at_fault = str(getattr(error.__cause__, "full_key", ""))
        key = at_fault if at_fault.startswith(f"{match[1]}.") else match[1]  # of `logger={a:1}` it is logger.a
        value = (re.search(r"To append to your config use \+[^=]*=(.*)", text) or ["", "…"])[1]
        return written_before(key, value) or no_option(match[1], value) or unknown_key(key, keys_near(key, config_name))
    if match := re.search(r"Could not append to config. An item is already at '([^']+)'", text):
        return f"+{match[1]}: the key exists, so write {match[1]}=… without the plus"
    if match := re.search(r"Multiple values for ([\w/@.]+)\.", text):
        return f"+{match[1]}: the group is there, so write {match[1]}=… without the plus"
    if "Config group override must be a string" in text:
        empty = [a for a in sys.argv[1:] if re.fullmatch(r"[\w/@]*=(null)?", a) or a.startswith("=")]
        return f"{' '.join(empty)}: a group needs one of its options; --help lists them"
    if match := re.search(r"Ambiguous value for argument '(.+)'$|Sweep parameters '(.+)' requires", text, re.MULTILINE):
        return several_values(match[1] or match[2])
    if isinstance(error, OverrideParseException) and re.fullmatch(r"\+*[\w.@/]*", error.override):
        return f"{error.override}: no value is given; write KEY=VALUE, without blanks"
    if isinstance(error, OverrideParseException):
        return (
            f"{error.override}: not an override that Hydra can read ({text.splitlines()[0]}); quote special characters"
        )
    return " ".join(text.split())


def several_values(argument: str) -> str:
    """Without -m. A list is what loggers and sizes are written as; a group of classes has one."""
    key, _, values = argument.partition("=")
    group = key.lstrip("+").partition("@")[0]
    as_list = "" if re.search(r"[(\[]", values) else f"{key}=[{values}]"
    if group == "logger" and as_list:
        return f"{argument}: several loggers of one run are a list; write {as_list}"
    listed = f"; a list is written {as_list}" if as_list and key.rpartition(".")[2] in LISTS else ""
    return f"{argument}: several values are a sweep; add -m{listed}"


def written_before(key: str, value: str) -> str:
    """A key that has moved; empty for others."""
    return f"{key}={value}: write {BEFORE[key]}={value}, since a run may have several loggers" if key in BEFORE else ""


def no_option(key: str, value: str) -> str:
    """A group that is set to something else than the name of an option, or an option of a logger that was not chosen."""
    group, _, rest = key.partition(".")
    if not rest and (options := stems(group)):
        own = f"; for one of your own write {LOGGER_OF_ONES_OWN}" if group == "logger" else ""
        return f"{key}={value}: a group needs one of its options: {', '.join(options)}{own}"
    name = rest.partition(".")[0]
    if group == "logger" and name in stems("logger") and name not in chosen_loggers():
        return f"{key}={value}: this run has no logger {name}; add logger={name}, or remove {key}"
    return ""


def chosen_loggers() -> set[str]:
    """On the command line, or by default."""
    values = [a.partition("=")[2] for a in sys.argv[1:] if a.startswith("logger=")] or ["wandb"]
    return set(re.findall(r"\w+", values[-1]))


def unknown_key(key: str, keys: list[str]) -> str:
    if f"+{key}" in keys:
        return f"{key}: its yaml leaves it at the default; to set it write +{key}=…"
    group = key.partition(".")[0]
    if f"{group}=…" in keys:
        return f"{key}: no {group} is chosen; choose one with {group}=…, or remove {key}"
    plain = [k.lstrip("+") for k in keys]
    parent, _, leaf = key.rpartition(".")
    siblings = sorted({k.rpartition(".")[2] for k in plain if k.rpartition(".")[0] == parent})
    if others := choices_that_take(leaf, parent):
        return f"{key}: the chosen {parent} has no {leaf}; those that do: {', '.join(others)}"
    if parent and siblings:  # only the last part is compared: the one before it is right
        accepted = ", ".join(f"{parent}.{name}" for name in siblings)
        return f"{key}: unknown key{did_you_mean(leaf, siblings, f'{parent}.')}; accepted here: {accepted}"
    accepted = ", ".join(sorted({k.partition(".")[0] for k in keys if not k.startswith("+")}))
    return f"{key}: unknown key{did_you_mean(key, plain)}; accepted here: {accepted}"
