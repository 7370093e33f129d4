"""Ctrl-C, SIGTERM and a lost terminal: each interrupts a run once, as a KeyboardInterrupt, whatever libraries install.

Lightning turns Ctrl-C into exit status 1 and SIGTERM into 0, and its own handlers stand while it trains; here the first
signal raises `Interrupted` where it arrives, and those after it cannot disturb what the run still has to write.
"""

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """A KeyboardInterrupt, so that no library takes it for an error."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_status = 128 + number  # as a shell reports it: 130 for Ctrl-C, 143 for SIGTERM


class Signals:
    """The handlers of one run: `install` … `restore`. Only the main thread may have them; elsewhere nothing happens."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, object] = {}
        self._held = False
        self._awaited = False

    def install(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        for number in INTERRUPTING:
            handler = signal.getsignal(number)
            if number == signal.SIGHUP and handler is signal.SIG_IGN:
                continue  # nohup: the user wants it ignored
            self._before[number] = handler
            signal.signal(number, self._handle)

    def reinstall(self) -> None:
        """Where a library has put handlers of its own; nothing outside a run."""
        for number in self._before:
            signal.signal(number, self._handle)

    def restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within, a signal is only recorded: what is written here is written whole."""
        self._held = True
        try:
            yield
        finally:
            self._held = False

    @contextmanager
    def released(self) -> Iterator[None]:
        """Within `held`: a stretch in which a signal interrupts again."""
        self._held = False
        try:
            yield
        finally:
            self._held = True

    def wait(self, seconds: float) -> None:
        """Until a signal has come, for so long at most; it is only recorded."""
        until = time.monotonic() + seconds
        self._awaited = True
        with self.held():
            while self.received is None and time.monotonic() < until:
                time.sleep(0.05)
        self._awaited = False

    def forget(self) -> None:
        """From here on the next signal interrupts again."""
        self.received = None

    def check(self) -> None:
        """Raise the interruption again if some library has swallowed it."""
        if self.received is not None:
            raise Interrupted(self.received)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        first, self.received = self.received is None, self.received or number
        if first and not self._held:
            raise Interrupted(number)
        if not (first and self._awaited):
            print("already ending; one moment", file=sys.stderr)


of_run = Signals()  # one run at a time in a process


def exit_status(error: BaseException | None) -> int | None:
    """130 where Ctrl-C stands behind an error, 143 where SIGTERM does; None where no signal does."""
    while error is not None:
        if isinstance(error, Interrupted):
            return error.exit_status
        if isinstance(error, KeyboardInterrupt):
            return 128 + signal.SIGINT
        if type(error).__name__ == "SIGTERMException":  # Lightning's; importing it takes seconds
            return 128 + signal.SIGTERM
        error = error.__cause__ or error.__context__
    return None
