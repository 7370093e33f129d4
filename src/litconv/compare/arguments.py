"""The command lines of scripts/compare.py and dashboard.py: what is compared and where it goes.

What is wrong with them is said in one line."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from litconv.compare.question import TESTS, Question
from litconv.config.root_keys import MOST_SEEDS
from litconv.errors import ConfigError, did_you_mean
from litconv.sweep.folders import sweep_folder


@dataclass(frozen=True)
class Arguments:
    name: str
    folders: list[str]
    out: Path
    question: Question


def check(given: Mapping[str, Any]) -> Arguments:
    sweep, folders, root = given["sweep"], given["folders"], Path(str(given["output_dir"]))
    if (sweep is None) == (folders is None):
        both = ", not both" if sweep is not None else ""
        raise ConfigError(f"give sweep=NAME, or folders=[…] with folders of runs or sweeps{both}")
    if not isinstance(given["mix"], bool):
        raise ConfigError(f"mix={given['mix']} must be true or false")
    if sweep is not None:
        name, places = str(sweep), [str(sweep_folder(root, str(sweep)))]
    else:
        places = [str(f) for f in (folders if isinstance(folders, list) else [folders])]
        if not places:
            raise ConfigError("folders=[] names no folder; give some, such as folders=[outputs/runs]")
        name = "+".join(Path(place).name for place in places)
    out = root / "compare" / slug(name) if given["out"] is None else Path(str(given["out"]))
    if out.exists() and not out.is_dir():
        raise ConfigError(f"out={out} is a file; give a folder")
    reference, metric = (None if given[key] is None else str(given[key]) for key in ("reference", "metric"))
    test, margin, seeds = rule_of(given)
    where, best_of = conditions(given["where"]), tuned_keys(given["best_of"])
    question = Question(reference, metric, given["mix"], where, best_of, test, margin, seeds)
    return Arguments(name, places, out, question)


def conditions(given: Any) -> list[str]:
    """where=KEY=VALUE, or a list of them."""
    wanted = [] if given is None else [str(one) for one in (given if isinstance(given, list) else [given])]
    for one in wanted:
        key, equals, value = one.partition("=")
        if not (key and equals and value):
            raise ConfigError(f"where={one} must be KEY=VALUE, such as where=epochs=2, or a list of them")
    return wanted


def table_columns(given: Any) -> list[str] | None:
    """columns=[NAME,…]; what there is depends on the runs."""
    if given is None:
        return None
    names = [str(name) for name in (given if isinstance(given, list) else [given])]
    if not names:
        raise ConfigError("columns=[] names no column; give some, such as columns=[arm,score,macs]")
    return names


def rule_of(given: Mapping[str, Any]) -> tuple[str, float | None, int | None]:
    """How claims are made: test, margin, planned seeds."""
    test, margin, seeds = (given.get(key) for key in ("test", "margin", "seeds"))
    if test not in TESTS:
        raise ConfigError(f"test={test} must be {' or '.join(TESTS)}{did_you_mean(str(test), TESTS)}")
    if margin is not None and (type(margin) not in (int, float) or not 0 < margin < inf):
        raise ConfigError(
            f"margin={margin} must be greater than 0, in points or the metric's own unit: the gap that does not matter; null: "
            "not asked"
        )
    if seeds is not None and (type(seeds) is not int or not 1 <= seeds <= MOST_SEEDS):
        raise ConfigError(
            f"seeds={seeds} must be a whole number, at least 1 and at most {MOST_SEEDS}: how many were planned"
        )
    return test, margin, seeds


def tuned_keys(best_of: Any) -> str | list[str] | None:
    keys = best_of if isinstance(best_of, list) else [best_of]
    if best_of is None or (keys and all(isinstance(key, str) and key for key in keys)):
        return best_of
    raise ConfigError(
        f"best_of={best_of} must be auto, null, or keys such as optim.lr or [optim.lr,optim.weight_decay]"
    )


def check_extras(given: Mapping[str, Any]) -> None:
    if type(given["samples"]) is not int or given["samples"] < 0:
        raise ConfigError(f"samples={given['samples']} must be a whole number, at least 0")
    if given["wandb"] not in ("auto", True, False):
        raise ConfigError(f"wandb={given['wandb']} must be auto, true or false")


def slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", name).strip(".-")[:80] or "comparison"
