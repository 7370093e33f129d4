"""Names of arms from what varies between them: `standard`, `grouped groups=4`, `depthwise_separable width=1.6`."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from litconv.compare.settings import Settings

CHOICES = ("choices.conv", "choices.upsample", "choices.head", "choices.backbone")  # named by their value alone
ABSENT = object()


def labels(arms: Sequence[Settings], hashes: Sequence[str]) -> list[str]:
    """One name for each arm, all different."""
    shown = _keys_that_tell_apart(arms)
    if "choices.conv" not in shown and all("choices.conv" in arm for arm in arms) and _only_options(shown):
        shown = {"choices.conv": set(range(len(arms))), **shown}
    names = [
        " ".join(_part(key, arm[key]) for key, where in shown.items() if i in where and key in arm)
        for i, arm in enumerate(arms)
    ]
    names = [name or str(arm.get("choices.conv", "arm")) for name, arm in zip(names, arms, strict=True)]
    times = Counter(names)
    return [f"{n} #{h[:6]}" if times[n] > 1 else n for n, h in zip(names, hashes, strict=True)]


def _keys_that_tell_apart(arms: Sequence[Settings]) -> dict[str, set[int]]:
    """Key → the arms that it is needed for: it differs between arms that the keys before it do not tell apart. Width and
    the match are always shown where they vary, since they say at what budget an arm stands."""
    keys = sorted({key for arm in arms for key in arm}, key=_rank)
    alike = [list(range(len(arms)))]
    needed: dict[str, set[int]] = {}
    for key in keys:
        if key == "width" and len({_value(arm, key) for arm in arms}) > 1:
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
    return float(value) if isinstance(value, int | float) else value  # 1 and 1.0 are one width


def _rank(key: str) -> tuple[int, str]:
    if key in CHOICES:
        return CHOICES.index(key), key
    prefixes = (
        "choices.conv@",
        "conv.groups",
        "conv.dilation",
        "conv.kernel_size",
        "conv.",
        "conv_stage",
        "width",
        "match",
    )
    for rank, prefix in enumerate((*prefixes, "upsample.", "backbone.", "choices."), start=len(CHOICES)):
        if key.startswith(prefix):
            return rank, key
    return 99, key


def _only_options(shown: dict[str, set[int]]) -> bool:
    return not any(key in CHOICES for key in shown)


def _part(key: str, value: Any) -> str:
    if key in CHOICES:
        return str(value)
    if key.startswith("choices."):
        return f"{key.removeprefix('choices.').removeprefix('conv@conv_')}={value}"
    shown = (
        f"{value:g}" if isinstance(value, float) else "true" if value is True else "false" if value is False else value
    )
    return f"{key.removeprefix('conv.')}={shown}"
