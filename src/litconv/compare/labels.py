"""Names of arms, as a person reads them, from what varies: `standard`, `grouped groups=4`, `deformable in stage 3`,
`depthwise_separable ×1.6 wide`.

Two keys are made for that. OPERATOR is the operator with those of single stages; WIDE is the width at which an arm was
trained: with `match=` the one that was found.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from litconv.compare.settings import Settings
from litconv.run.arm_name import STARTS, operator, wide

OPERATOR, WIDE = "operator", "wide"
STAGE = "choices.conv@conv_stage"
CHOICES = (OPERATOR, "choices.upsample", "choices.head", "choices.backbone")  # named by their value alone
ABSENT = object()


def labels(arms: Sequence[Settings], hashes: Sequence[str], found: Sequence[float | None]) -> list[str]:
    """One name for each arm, all different. `found`: the width that `match=` found, None where nothing was matched."""
    arms = [readable(arm, width) for arm, width in zip(arms, found, strict=True)]
    shown = _keys_that_tell_apart(arms, all_matched=None not in found)
    if OPERATOR not in shown and all(OPERATOR in arm for arm in arms) and not any(key in CHOICES for key in shown):
        shown = {OPERATOR: set(range(len(arms))), **shown}
    for i in (i for i, arm in enumerate(arms) if " in stage" in arm.get(OPERATOR, "")):
        shown = {OPERATOR: shown.get(OPERATOR, set()) | {i}, **{k: v for k, v in shown.items() if k != OPERATOR}}
    names = [
        " ".join(part for key, where in shown.items() if i in where and (part := _part(key, arm.get(key))))
        for i, arm in enumerate(arms)
    ]
    names = [name or str(arm.get(OPERATOR, "arm")) for name, arm in zip(names, arms, strict=True)]
    times = Counter(names)
    return [f"{n} #{h[:6]}" if times[n] > 1 else n for n, h in zip(names, hashes, strict=True)]


def readable(asked: Settings, found: float | None) -> Settings:
    """The settings with the two keys that are made for names in place of those that they are made of."""
    kept = {k: v for k, v in asked.items() if k not in ("choices.conv", "width") and not k.startswith(STAGE)}
    if "choices.conv" in asked:
        stages = {key.removeprefix(STAGE): str(asked[key]) for key in sorted(asked) if key.startswith(STAGE)}
        kept[OPERATOR] = operator(str(asked["choices.conv"]), stages)
    width = asked.get("width") if found is None else found
    return kept | ({WIDE: wide(float(width))} if isinstance(width, int | float) else {})


def _keys_that_tell_apart(arms: Sequence[Settings], all_matched: bool) -> dict[str, set[int]]:
    """Key → the arms that it is needed for: it differs between arms that the keys before it do not tell apart. The width
    is always shown where it varies, since it says at what budget an arm stands; where all are matched it varies by
    what was found, and stands in a column of its own."""
    keys = sorted({key for arm in arms for key in arm}, key=_rank)
    alike = [list(range(len(arms)))]
    needed: dict[str, set[int]] = {}
    for key in keys:
        if key == WIDE and not all_matched and len({_value(arm, key) for arm in arms}) > 1:
            needed[key] = set(range(len(arms)))
        parted = []
        for group in alike:
            values: dict[Any, list[int]] = {}
            for i in group:
                values.setdefault(_value(arms[i], key), []).append(i)
            if len(values) > 1:
                needed.setdefault(key, set()).update(group)
            parted.extend(values.values())
        alike = parted
    return needed


def _value(arm: Settings, key: str) -> Any:
    value = arm.get(key, ABSENT)
    return float(value) if isinstance(value, int | float) else value  # 1 and 1.0 are one rate


def _rank(key: str) -> tuple[int, str]:
    if key in CHOICES:
        return CHOICES.index(key), key
    prefixes = (
        "conv.groups",
        "conv.dilation",
        "conv.kernel_size",
        "conv.",
        "conv_stage",
        WIDE,
        "choices.match",
        "match",
    )
    for rank, prefix in enumerate((*prefixes, "upsample.", "backbone.", "choices."), start=len(CHOICES)):
        if key.startswith(prefix):
            return rank, key
    return 99, key


def _part(key: str, value: Any) -> str:
    if value is None:
        return ""
    if key in CHOICES or key == WIDE:
        return str(value)
    shown = (
        f"{value:g}" if isinstance(value, float) else "true" if value is True else "false" if value is False else value
    )
    if key in STARTS:
        shown = Path(str(value)).name
    stage, _, option = key.removeprefix("conv_stage").partition(".")
    if key.startswith("conv_stage"):
        return f"{option}={shown} in stage {stage}"
    return f"{key.removeprefix('choices.').removeprefix('conv.')}={shown}"
