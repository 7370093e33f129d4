"""The folders of train, val and test under the names that people give them; what lies beside them unread is said."""

import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from litconv.data.files import is_left_out, list_images, readable_extensions
from litconv.errors import DataError

log = logging.getLogger(__name__)
NAMES = {  # of each split, in lower case; a folder may write them in capitals
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
SHOWN = 8  # names of a list in one line


def split_folders(root: Path, inside: str) -> dict[str, Path]:
    """The folders of train, val and test that exist, by these names. `inside`: what a root holds, for messages."""
    if not root.is_dir():
        raise DataError(f"data.root={root} is not a folder; set data.root to the folder that holds {inside}")
    splits = {}
    for split, names in NAMES.items():
        found = [folder for folder in folders_in(root) if folder.name.lower() in names]
        if len(found) > 1:
            both = " and ".join(f"'{folder.name}'" for folder in found)
            raise DataError(f"data.root={root} has {both}, names of one split ({split}); keep one, or join them")
        if found:
            splits[split] = found[0]
    if "train" not in splits:
        raise DataError(f"data.root={root} has no folder 'train'{_there(root)}; expected {inside}{_deeper(root)}")
    return splits


def has_train(root: Path) -> bool:
    return root.is_dir() and any(folder.name.lower() in NAMES["train"] for folder in folders_in(root))


def has_classes(root: Path) -> bool:
    """Whether it has no folder of a split and holds the classes themselves: two folders of images at least."""
    if not root.is_dir():
        return False
    folders = folders_in(root)
    splits = {name for names in NAMES.values() for name in names}
    if any(folder.name.lower() in splits or has_train(folder) for folder in folders):
        return False
    return sum(map(has_image, folders)) > 1


def has_image(folder: Path) -> bool:
    """Whether one lies in it or below it."""
    readable = readable_extensions()
    return any(
        path.suffix.lower() in readable and not any(is_left_out(part) for part in path.relative_to(folder).parts)
        for path in folder.rglob("*")
    )


def say_unread(root: Path, read: Iterable[Path]) -> None:
    """Name the folders beside those of the splits: somebody may think that they are trained or tested on."""
    unread = sorted({folder.name for folder in folders_in(root)} - {folder.name for folder in read})
    if unread:
        known = "; ".join(f"{split}: {', '.join(names)}" for split, names in NAMES.items())
        log.warning("data.root=%s: not read: %s (the names of splits are %s)", root, listed(unread), known)


def say_undecoded(root: Path, unread: Counter[str]) -> None:
    if unread:
        counts = ", ".join(f"{count} {suffix}" for suffix, count in sorted(unread.items()))
        log.warning("data.root=%s: not read, for PIL cannot decode them: %s files; convert them to PNG", root, counts)


def no_images(folder: Path) -> DataError:
    unread: Counter[str] = Counter()
    list_images(folder, unread)
    said = f" that PIL can decode ({', '.join(sorted(unread))} it cannot)" if unread else ""
    return DataError(f"{folder} holds no images{said}; add some or remove the folder")


def folders_in(folder: Path) -> list[Path]:
    """A link that leads nowhere may be to one on a disk that is not mounted: without it the set would be another."""
    entries = [entry for entry in folder.iterdir() if not is_left_out(entry.name)]
    for entry in entries:
        if not entry.suffix and entry.is_symlink() and not entry.exists():
            raise DataError(
                f"{entry} is a link to {entry.readlink()}, which is not there; restore that, or remove the link"
            )
    return sorted(entry for entry in entries if entry.is_dir())


def folder_called(name: str, within: Path) -> Path:
    """The folder of this name, or of this name in capitals."""
    found = [folder for folder in folders_in(within) if folder.name.lower() == name] if within.is_dir() else []
    return found[0] if len(found) == 1 else within / name


def listed(names: Iterable[object]) -> str:
    """'a, b, c', or of many the first ones and how many more."""
    words = list(map(str, names))
    more = f" and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
    return ", ".join(words[:SHOWN]) + more


def _there(root: Path) -> str:
    names = [folder.name for folder in folders_in(root)]
    return f" (there: {listed(names)})" if names else ""


def _deeper(root: Path) -> str:
    """Of an archive that was unpacked into a folder of its own."""
    inner = [folder for folder in folders_in(root) if has_train(folder)]
    return f", which {inner[0]} has: set data.root={inner[0]}" if len(inner) == 1 else ""
