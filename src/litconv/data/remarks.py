"""What a score does not show of the set that it was measured on: one line each, where a set has it."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import combinations

import numpy as np

from litconv.data.file_set import FileSet
from litconv.data.files import read_frames
from litconv.data.splits import listed
from litconv.errors import DataError

log = logging.getLogger(__name__)
OF_FRAMES = (".gif", ".tif", ".tiff", ".webp", ".apng")
LOOKED_AT, DARK = 64, 0.25  # images; the share of the range that they do not leave
ORDER = ("train", "val", "test")


def remark(
    names: Sequence[str], splits: Mapping[str, FileSet], decoded: Mapping[str, Mapping[str, np.ndarray]]
) -> None:
    """`names`: of the classes. `decoded`: what `FileSet.decode` makes of a split, where that was done."""
    held = {name: images_per_class(len(names), splits[name], decoded.get(name)) for name in ORDER if name in splits}
    for line in [*absent_classes(names, held), *same_pictures(splits, decoded), *several_frames(splits)]:
        log.warning("%s", line)


def several_frames(splits: Mapping[str, FileSet]) -> Iterator[str]:
    """Looked for in some of the files that may hold several; a phone's JPEG with a second one beside is none of them."""
    paths = [path for split in splits.values() for path in split.images if path.lower().endswith(OF_FRAMES)]
    looked_at, found = paths[:: max(len(paths) // LOOKED_AT, 1)], {}
    for path in looked_at:
        with suppress(DataError):  # a broken one is named when it is decoded
            found[path] = read_frames(path)
    several = {path: count for path, count in found.items() if count > 1}
    if several:
        path, count = next(iter(several.items()))
        of = f" (as have {len(several)} of {len(looked_at)} files looked at)"
        yield f"{path} holds {count} pictures{of}: the first is read; save the others as files of their own to use them"


def remark_darkness(decoded: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """16-bit files often hold 10 or 12 bits: of a range of 65535 that is next to black, for a mean of photographs."""
    if "train" not in decoded or decoded["train"]["images"].dtype != np.uint16:
        return
    images = decoded["train"]["images"]
    chosen = images[:: max(len(images) // LOOKED_AT, 1)]
    if (highest := int(chosen.max())) < DARK * 65535:
        values = chosen / 65535
        own = f"+data.mean=[{values.mean():.4g}] +data.std=[{max(values.std(), 1e-4):.4g}]"
        log.warning(
            "the 16-bit images of train reach %d of 65535; set the mean and deviation that they have: %s", highest, own
        )


def images_per_class(classes: int, split: FileSet, decoded: Mapping[str, np.ndarray] | None) -> list[int]:
    """How many images of the split show each class; empty where only masks that were not read would say it."""
    if split.masks is None:
        return np.bincount(np.asarray(split.labels), minlength=classes).tolist()
    return [] if decoded is None else decoded["present"][:, :classes].sum(0).tolist()


def absent_classes(names: Sequence[str], held: Mapping[str, Sequence[int]]) -> Iterator[str]:
    for split, counts in held.items():
        absent = [name for name, count in zip(names, counts, strict=False) if not count]
        if len(absent) == len(names) - 1:
            (only,) = set(names) - set(absent)
            yield f"{split} holds images of one class alone, {only}: a network that always answers {only} is right every time"
        elif absent and split == "train":
            yield f"train holds no image of {listed(absent)}: it cannot be learned"
        elif absent:
            yield f"{split} holds no image of {listed(absent)}: its score says nothing of it"


def same_pictures(splits: Mapping[str, FileSet], decoded: Mapping[str, Mapping[str, np.ndarray]]) -> Iterator[str]:
    """Of sets that are decoded: equal pixels, whatever the files are called."""
    for first, second in combinations([name for name in ORDER if name in decoded], 2):
        one, other = decoded[first]["digests"], decoded[second]["digests"]
        both = np.isin(other, one)
        if both.any():
            example = int(both.argmax())
            twin = splits[first].images[int((one == other[example]).argmax())]
            yield (
                f"{int(both.sum())} of {len(other)} images of {second} are in {first} too, such as "
                f"{splits[second].images[example]}, which is {twin}: the score on {second} is better than on new images"
            )
