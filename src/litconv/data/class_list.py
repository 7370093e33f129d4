"""classes.txt: which classes there are, and what stands for each in the masks, an id or a colour.

A class a line, "0 sky" or just "sky" (its id is then the line's number, from 0), or with the colour that it has in masks
of colours, "sky 70 130 180". A class that ends in "(ignore)" is none: its pixels are left out of loss and metrics. A line
that begins with "#" is a comment.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from litconv.errors import DataError

IGNORED = "(ignore)"
MOST = 65535  # the highest id that a 16-bit mask can hold
INVALID = -1  # in a table of mask ids
NUMBERED = re.compile(r"(\d+)[\s:,]+(\S.*)")
NAMED_FIRST = re.compile(r"(\S.*?)[\s:,]+(\d+)")
COLOURED = re.compile(r"(\S.*?)[\s:,]+(\d+)[\s,]+(\d+)[\s,]+(\d+)(\s*\(ignore\))?")

Colour = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class ClassList:
    """How masks say classes."""

    classes: Mapping[int, str]  # id → name; those of ignored ones end in IGNORED
    ignored: set[int] = field(default_factory=set)  # ids that are left out besides
    colours: Mapping[int, Colour] = field(default_factory=dict)  # id → colour in the masks; empty: masks hold the ids
    path: Path | None = None  # of the classes.txt, for messages; None: the classes are fixed

    @property
    def left_out(self) -> list[int]:
        return sorted({number for number, name in self.classes.items() if name.endswith(IGNORED)} | self.ignored)

    @property
    def kept(self) -> list[int]:
        """The ids that are learned, in the order of the classes."""
        return sorted(self.classes.keys() - set(self.left_out))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.classes[number] for number in self.kept)

    @property
    def palette(self) -> tuple[Colour, ...]:
        """The colours of the classes in masks of colours; of masks of ids none."""
        return tuple(self.colours[number] for number in self.kept) if self.colours else ()

    @property
    def ignore_index(self) -> int:
        """What the ignored ids are in a batch, or −100: one of them where it lies outside 0..classes−1 (CamVid's 11, VOC's
        255), else 255."""
        if not self.left_out:
            return -100
        return next((number for number in self.left_out if len(self.kept) <= number <= 255), 255)

    def table(self) -> np.ndarray:
        """id → 0, 1, … or `ignore_index`, INVALID where there is none: int16."""
        table = np.full(max([*self.classes, *self.left_out], default=0) + 1, INVALID, np.int16)
        table[self.kept] = range(len(self.kept))
        table[self.left_out] = self.ignore_index
        return table


def read_class_list(path: Path, ignored: set[int]) -> ClassList:
    """`ignored`: ids that are left out whatever the file says of them."""
    try:
        stripped = map(str.strip, path.read_text(encoding="utf-8-sig").splitlines())
        lines = [line for line in stripped if line and not line.startswith("#")]
    except UnicodeDecodeError:
        raise DataError(f"{path} is not a text file; write one class a line, such as '0 sky'") from None
    coloured = [COLOURED.fullmatch(line) for line in lines]
    if lines and all(coloured):
        pairs = [(number, match[1] + (match[5] or "")) for number, match in enumerate(coloured)]
        colours = {number: (int(m[2]), int(m[3]), int(m[4])) for number, m in enumerate(coloured)}
        check_colours(path, lines, colours)
    else:
        pairs, colours = numbered(path, lines), {}
    classes: dict[int, str] = {}
    for number, name in pairs:
        if number in classes or name in classes.values():
            raise DataError(f"{path}: '{number} {name}' repeats an id or a name; each may stand once")
        if number > MOST:
            raise DataError(f"{path}: id {number} of '{name}' is above {MOST}, the most a 16-bit mask can hold")
        classes[number] = name
    return ClassList(classes, ignored, colours, path)


def numbered(path: Path, lines: list[str]) -> list[tuple[int, str]]:
    """(id, name) of every line."""
    matches = [NUMBERED.fullmatch(line) for line in lines]
    if all(matches):
        return [(int(match[1]), match[2]) for match in matches]
    if any(matches):
        odd = lines[matches.index(None)]
        raise DataError(f"{path}: the line {odd!r} has no id while others have; write '0 sky' on every line or on none")
    if any(colours := [COLOURED.fullmatch(line) is not None for line in lines]):
        odd = lines[colours.index(False)]
        raise DataError(
            f"{path}: the line {odd!r} has no colour while others have; write 'sky 70 130 180' on every line"
        )
    turned = [NAMED_FIRST.fullmatch(line) for line in lines]
    if all(turned) and len({match[1] for match in turned}) == len(lines):
        order = [int(match[2]) for match in turned]
        if order != list(range(len(lines))):
            example = f"{turned[0][2]} {turned[0][1]}"
            raise DataError(
                f"{path}: {lines[0]!r} and the others end in numbers; if these are the ids write them first, as in {example!r}, "
                f"and if not, an id before each name: {'0 ' + lines[0]!r}"
            )
    return list(enumerate(lines))


def check_colours(path: Path, lines: list[str], colours: Mapping[int, Colour]) -> None:
    seen: dict[Colour, str] = {}
    for line, colour in zip(lines, colours.values(), strict=True):
        if max(colour) > 255:
            raise DataError(f"{path}: {line!r} has a colour above 255; red, green and blue go from 0 to 255")
        if colour in seen:
            raise DataError(f"{path}: {line!r} has the colour of {seen[colour]!r}; give each class its own")
        seen[colour] = line
