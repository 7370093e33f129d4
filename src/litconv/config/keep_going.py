"""Points of a grid that are no jobs of Hydra's: what goes wrong with one does not stop the others."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from litconv.config.messages import one_line
from litconv.errors import JobError


@contextmanager
def keep_going() -> Iterator[Callable[[list[str]], AbstractContextManager[None]]]:
    """For the points of a grid that are no jobs of Hydra's: `with attempt(overrides):` prints what goes wrong with one,
    and the others go on; in the end that is a JobError. `overrides`: that tell it from the others; without any it is the
    only one, and its error is raised."""
    failures: list[Exception] = []
    points_of: dict[str, list[str]] = {}  # fault → points

    @contextmanager
    def attempt(overrides: list[str]) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if not overrides:
                raise
            failures.append(error)
            text, point = one_line(error), " ".join(overrides)
            if text not in points_of:
                print(f"error: {point}: {text}", file=sys.stderr)
            points_of.setdefault(text, []).append(point)

    yield attempt
    for points in points_of.values():
        if others := len(points) - 1:
            fail = "1 other point fails" if others == 1 else f"{others} other points fail"
            print(f"error: {fail} as {points[0]} does", file=sys.stderr)
    if failures:
        raise JobError(f"{len(failures)} runs of this sweep failed") from failures[0]
