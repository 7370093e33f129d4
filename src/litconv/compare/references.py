"""Which arm each arm is held against."""

from collections.abc import Sequence

from litconv.compare.arms import Arm
from litconv.errors import ConfigError, did_you_mean

CONV = "choices.conv"
# What belongs to the choice of an operator: two arms that differ here alone differ in their operator.
OPERATOR = (CONV, "conv.", "conv_stage", "width", "match")


def references(arms: Sequence[Arm], asked: str | None) -> dict[str, Arm]:
    """Name of an arm → the arm that it is held against; an arm that is a reference has none.

    `asked` is an arm's name, or a choice that several arms share, such as `standard`: then each arm is held against the
    one of them that is like it in all else (the standard convolution in the same backbone).
    """
    key, value = _resolve(arms, asked)
    named = [arm for arm in arms if (arm.name if key is None else _choice(arm, key)) == value]
    against = {}
    for arm in arms:
        if arm not in named and (near := _nearest(arm, named, key)) is not None:
            against[arm.name] = near
    return against


def _resolve(arms: Sequence[Arm], asked: str | None) -> tuple[str | None, str]:
    """(the group that varies, its reference value), or (None, the name of an arm)"""
    if asked is None:
        if len({_choice(arm, CONV) for arm in arms}) > 1 and any(_choice(arm, CONV) == "standard" for arm in arms):
            return CONV, "standard"
        return None, max(arms, key=lambda arm: (arm.costs.get("cost/macs", 0), arm.costs.get("cost/params", 0))).name
    names = [arm.name for arm in arms]
    if asked in names:
        return None, asked
    for key in sorted(
        {key for arm in arms for key in arm.asked if key.startswith("choices.")}, key=lambda k: k != CONV
    ):
        if any(_choice(arm, key) == asked for arm in arms):
            return key, asked
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    raise ConfigError(
        f"reference={asked} is no arm of this comparison{did_you_mean(asked, names)}; "
        f"choose from {', '.join(names[:20])}{more}"
    )


def _choice(arm: Arm, key: str) -> str | None:
    """A model with other operators in some stages is not one of its `conv`."""
    if key == CONV and (stages := [k for k in arm.asked if k.startswith("choices.conv@")]):
        return f"{arm.asked.get(CONV)} with {len(stages)} stages of another"
    value = arm.asked.get(key)
    return None if value is None else str(value)


def _nearest(arm: Arm, named: Sequence[Arm], key: str | None) -> Arm | None:
    if len(named) == 1:
        return named[0]
    group = OPERATOR if key == CONV else (str(key), f"{str(key).removeprefix('choices.')}.")
    alike = [other for other in named if _besides(other, group) == _besides(arm, group)]
    if len(alike) > 1:
        alike = [other for other in alike if other.asked.get("width") == arm.asked.get("width")]
    return alike[0] if len(alike) == 1 else None


def _besides(arm: Arm, group: tuple[str, ...]) -> dict[str, object]:
    return {key: value for key, value in arm.asked.items() if not key.startswith((*group, "choices.conv@"))}
