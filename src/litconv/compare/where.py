"""`where=epochs=2`: the runs that a comparison is about, by what they were asked for or by what their summaries say."""

import json
import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from litconv.compare.arms import with_arm_hash
from litconv.compare.collect import number
from litconv.compare.settings import ABSENT, CALLED, MEASURED_BY, Settings, differences
from litconv.errors import ConfigError, did_you_mean

ASKED = {name: key for key, name in CALLED.items()}  # epochs → trainer.max_epochs
LISTED = 12  # values in a message


def pick(runs: pd.DataFrame, wanted: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
    """The runs of which all of `wanted` (key=value each) is true, and a note that says how many they are."""
    if not wanted or runs.empty:
        return runs, []
    kept, asked = with_arm_hash(runs)
    for one in wanted:
        key, _, value = one.partition("=")
        values = [value_of(key, asked[row["arm_hash"]], row) for row in kept.to_dict("records")]
        there = Counter(v for v in values if v is not None)
        if not there:
            raise ConfigError(f"where={one}: {_unknown(key, kept, asked)}")
        fits = [v is not None and spelt(v) == spelt(value) for v in values]
        if not any(fits):
            listed = ", ".join(f"{v} ({n} run{'s' * (n > 1)})" for v, n in there.most_common(LISTED))
            raise ConfigError(f"where={one} leaves no run; {key} here: {listed}")
        kept = kept[fits]
    return kept, [f"chosen by {_option(wanted)}: {len(kept)} of {len(runs)} runs"]


def value_of(key: str, asked: Settings, row: Mapping[str, Any]) -> Any:
    """What a run has for this key, by the name that messages call it; None where it has nothing."""
    if (name := ASKED.get(key, key)) in asked:
        return _shown(asked[name])
    value = row.get(key)
    if isinstance(value, list | dict) or value is None or value != value:
        return ABSENT.get(key)
    return _shown(value)


def proposal(runs: pd.DataFrame, asked: dict[str, Settings], wanted: Sequence[str]) -> str:
    """`where=…` of the largest group of runs that are alike, beside what was wanted already."""
    grouped = [(asked[h], own) for h, own in runs.groupby("arm_hash", sort=False)]
    keys = [key for key, counts in differences(grouped).items() if len(counts) > 1]
    points = [tuple(value_of(key, asked[row["arm_hash"]], row) for key in keys) for row in runs.to_dict("records")]
    largest = Counter(points).most_common(1)[0][0]
    of_group = [f"{key}={_short(value)}" for key, value in zip(keys, largest, strict=True) if value is not None]
    return _option([*wanted, *of_group])


def spelt(value: Any) -> str:
    """One spelling for 2, 2.0 and "2", for True and "true", for 32 and [32, 32]."""
    text = re.sub(r"\s+", "", str(value)).lower()
    figure = number(_short(text))
    return text if figure is None else repr(figure)


def _short(value: Any) -> str:
    """[32, 32] → 32: a square by its side."""
    try:
        sides = json.loads(str(value))
    except ValueError:
        return str(value)
    return str(sides[0]) if isinstance(sides, list) and sides and len(set(map(str, sides))) == 1 else str(value)


def _shown(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _option(conditions: Sequence[str]) -> str:
    """As it is typed in a shell."""
    words = [re.sub(r",\s+", ",", one) for one in conditions]
    return shlex.quote(f"where={words[0]}" if len(words) == 1 else f"where=[{','.join(words)}]")


def _unknown(key: str, runs: pd.DataFrame, asked: dict[str, Settings]) -> str:
    settings = {CALLED.get(k, k) for h in set(runs["arm_hash"]) for k in asked[h]}
    known = sorted(settings | MEASURED_BY | {str(c) for c in runs.columns})
    there = "it can be epochs, data, task, or any key of config.yaml or summary.json"
    return f"no run here has {key}{did_you_mean(key, known)}; {there}"
