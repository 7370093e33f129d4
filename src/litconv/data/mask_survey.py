"""What the masks of a set hold, told to somebody whose classes.txt is missing or does not fit, with one that does."""

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from litconv.data.class_list import IGNORED, MOST, ClassList, Colour
from litconv.data.masks import DepthError, percent, read_codes
from litconv.errors import DataError

READ = 200  # masks, spread over all: seconds
WRITTEN = 64  # lines of a classes.txt that is proposed
RARE = 0.002  # share of the pixels below which a code may be a value between two others


@dataclass(frozen=True)
class Survey:
    shares: dict[int, float]  # code → its share of all pixels, by code
    in_colours: bool
    masks: int  # read
    there: int

    def __str__(self) -> str:
        what = "colours" if self.in_colours else "ids"
        count = f"{self.masks} of {self.there} masks" if self.masks < self.there else "the masks"
        by_share = sorted(self.shares, key=self.shares.get, reverse=True)
        codes = by_share[:8] if len(by_share) > 8 else self.shares  # then the most frequent ones
        named = [f"{plain(code, self.in_colours)} ({percent(self.shares[code])})" for code in codes]
        more = f" and {len(by_share) - 8} more" if len(by_share) > 8 else ""
        return f"{count} hold the {what} {', '.join(named)}{more}"


def survey(masks: Sequence[str], in_colours: bool) -> Survey:
    chosen = [masks[i * len(masks) // READ] for i in range(READ)] if len(masks) > READ else list(masks)
    counts: Counter[int] = Counter()
    for path in chosen:
        try:
            codes, pixels = np.unique(read_codes(path, in_colours), return_counts=True)
        except DataError:  # one of another depth, or a broken one, which is named when it is its turn
            continue
        counts.update(dict(zip(codes.tolist(), pixels.tolist(), strict=True)))
    return Survey({code: counts[code] / counts.total() for code in sorted(counts)}, in_colours, len(chosen), len(masks))


def missing(path: Path, masks: Sequence[str], ignored: set[int]) -> DataError:
    """There is no classes.txt at `path`."""
    if not masks:
        return DataError(f"{path} is missing; write one class a line, such as '0 sky'")
    try:
        read_codes(masks[0], in_colours=False)
        in_colours = False
    except DepthError:
        in_colours = True
    found = survey(masks, in_colours)
    if not found.shares:
        return DataError(
            f"{path} is missing, and the masks hold neither ids (8-bit grey) nor colours, such as {masks[0]}"
        )
    return DataError(f"{path} is missing; {found}; {remedy(found, ClassList({}, ignored, path=path))}")


def wrong_count(where: str, masks: Sequence[str], classes: ClassList) -> DataError:
    """One class alone is right everywhere: mIoU 1 and loss 0 from the first step. More than 255 do not fit a byte."""
    said = f"{where} has {len(classes.names)} classes to learn; it needs 2 to 255"
    if not masks or classes.path is None:
        return DataError(said)
    found = survey(masks, in_colours=bool(classes.colours))
    if len(found.shares) < 2:
        return DataError(f"{said}; {found}")
    without = "leave data.ignore_index out, and " if classes.ignored else ""
    learned = {number: name.removesuffix(IGNORED).strip() for number, name in classes.classes.items()}
    return DataError(f"{said}; {found}; {without}{remedy(found, replace(classes, classes=learned, ignored=set()))}")


def unfitting(error: DataError, masks: Sequence[str], classes: ClassList) -> DataError:
    """A mask holds what is none of the classes, or has colours where ids are expected."""
    if classes.path is None:
        return DataError(
            f"{error}; its ids are {ranges([*classes.classes, *classes.ignored])}: correct it, or get it anew"
        )
    found = survey(masks, in_colours=bool(classes.colours) or isinstance(error, DepthError))
    if not found.shares:
        return DataError(f"{error}; save the masks anew as 8-bit grey PNG")
    if found.in_colours and not classes.colours:
        return DataError(f"{error}; {found}; {remedy(found, ClassList({}, path=classes.path))}")
    known = "" if found.in_colours else f" (ids {ranges([*classes.classes, *classes.ignored])})"
    return DataError(f"{error}{known}; {found}; correct the mask, or {remedy(found, classes)}")


def remedy(found: Survey, classes: ClassList) -> str:
    """A command that writes a classes.txt which fits."""
    if not found.in_colours and (min(found.shares) < 0 or max(found.shares) > MOST):
        return f"number the classes anew: an id is from 0 to {MOST}"
    lines = fitting_colours(found, classes) if found.in_colours else fitting_ids(found, classes)
    if len(lines) > WRITTEN:
        return (
            "save masks of class ids: so many are rather values between them, which smoothing leaves when masks are "
            "resized, or the numbers of single objects"
        )
    rare = sum(share < RARE for share in found.shares.values())
    hint = f" ({rare} are rare: if smoothing left them, save the masks without it)" if rare > len(lines) / 2 > 4 else ""
    command = f"printf '%s\\n' {' '.join(map(shlex.quote, lines))} > {shlex.quote(str(classes.path))}"
    return f"write a classes.txt that fits{hint}, with names of your own: {command}"


def fitting_ids(found: Survey, classes: ClassList) -> list[str]:
    codes, known = [code for code in found.shares if code not in classes.ignored], dict(classes.classes)
    if (
        known and list(known) == list(range(len(codes))) and not classes.left_out
    ):  # as many names as ids, counted from 0
        named = dict(zip(codes, known.values(), strict=True))
    else:
        new = [code for code in codes if code not in known]
        named = known | (two_classes(new) if not known and len(new) == 2 else {code: f"class {code}" for code in new})
        if 255 in new and is_border(sorted(named)):
            named[255] = f"void {IGNORED}"
    return [f"{code} {named[code]}" for code in sorted(named)]


def two_classes(codes: list[int]) -> dict[int, str]:
    return dict(zip(codes, ("background", "foreground"), strict=True))


def is_border(codes: list[int]) -> bool:
    """Whether 255 stands beside ids that are counted up: it then says, by convention, which pixels are not labelled."""
    others = [code for code in codes if code != 255]
    return len(others) > 1 and others[0] in (0, 1) and others[-1] - others[0] == len(others) - 1


def fitting_colours(found: Survey, classes: ClassList) -> list[str]:
    known = {colour: classes.classes[number] for number, colour in classes.colours.items()}
    new = [colour for code in found.shares if (colour := unpacked(code)) not in known]
    if not known and len(new) == 2:
        named = two_classes(new)
    else:
        named = known | {colour: f"class {number}" for number, colour in enumerate(new, len(known))}
    return [f"{name} {' '.join(map(str, colour))}" for colour, name in named.items()]


def unpacked(code: int) -> Colour:
    return code >> 16, code >> 8 & 255, code & 255


def ranges(ids: Sequence[int]) -> str:
    """[0, 1, 2, 255] → '0-2, 255'."""
    ordered = np.unique(ids)
    runs = np.split(ordered, np.flatnonzero(np.diff(ordered) > 1) + 1)
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def plain(code: int, in_colours: bool) -> str:
    return " ".join(map(str, unpacked(code))) if in_colours else str(code)
