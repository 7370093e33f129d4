"""What else than the operator an arm changes, beside the standard convolution: facts that the operators' classes state.

The classes are read from their source, without importing torch. A run's own classes, which may be anybody's, say nothing.
"""

from collections.abc import Iterator, Sequence
from functools import cache

from litconv.compare.arms import Arm
from litconv.compare.settings import Settings
from litconv.config import signatures
from litconv.config.labels import own_targets
from litconv.config.root_keys import STAGES
from litconv.config.signatures import Signature
from litconv.config.stubs import UnreadError

SEARCHED = (
    "the width that match= has found: layers of other fan-ins, so other starting weights and another best learning rate"
)
WIDER = "another width than the reference's: layers of other fan-ins, so other starting weights and another best learning rate"


def confounds(asked: Settings) -> list[str]:
    """Of an arm with these settings, one clause each."""
    found = list(of_operator(asked, str(asked.get("choices.conv")), "conv"))
    for number in STAGES:
        choice = str(asked.get(f"choices.conv@conv_stage{number}"))
        found += [f"in stage {number}: {clause}" for clause in of_operator(asked, choice, f"conv_stage{number}")]
    return found


def of_operator(asked: Settings, choice: str, key: str) -> Iterator[str]:
    """`key`: under which its options stand."""
    declared = operator(choice)
    if declared is None:
        return
    usual = {name: parameter.default for name, parameter in declared.parameters.items()}
    for condition, clause in declared.constants.get("confounds", {}).items():
        option, _, value = condition.partition("=")
        if not option or as_written(asked.get(f"{key}.{option}", usual[option])) == value:
            yield clause


def of_arms(arms: Sequence[Arm], references: dict[str, Arm]) -> list[tuple[str, list[str]]]:
    """Name of an arm → what else it changes, its reference's width included; arms with nothing to name are left out."""
    named = []
    for arm in arms:
        found = confounds(arm.asked)
        reference = references.get(arm.name)
        if reference is not None and arm.width != reference.width:
            found.append(SEARCHED if arm.asked.get("match.by") else WIDER)
        if found:
            named.append((arm.name, found))
    return named


@cache
def operator(choice: str) -> Signature | None:
    """litconv's own of this name; None of any other."""
    target = own_targets("conv").get(choice)
    try:
        return None if target is None else signatures.read(target)
    except UnreadError:
        return None


def as_written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
