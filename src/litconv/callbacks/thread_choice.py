"""One thread or all of them: chosen by how long a training's own steps take, and watched while it goes on.

On an idle machine all threads are faster. Beside other work every parallel region waits for the thread whose core is taken,
and one thread may be faster, by six times at worst. Nothing but a step tells which it is, so steps are the measure: first in
turns with either number; afterwards the other number is tried from time to time, for some steps in turns with those of the
chosen one. What trying costs is added up, and held to a share of the time trained: a number that is far slower
is given up after one step, and tried less often.
"""

from collections import deque
from collections.abc import Generator
from statistics import median

TURNS = 3  # of either number, at most, in a comparison
TURN = 3  # steps; the first does not count: the system has yet to find cores for threads that wake
CLEAR = 1.3  # so many times longer, every step of one than any of the other: no more turns are needed
HOPELESS = 2.0  # so many times longer than usual, one step of the number that is tried, or two of the chosen: given up
TIE = 0.97  # all threads are taken at first if a step takes less than this share of one thread's
BETTER = 0.94  # the choice is changed if a step takes less than this share
RECENT = 7  # steps by which the present is judged
DRIFT = 1.3  # so many times longer or shorter than before: the load has changed
SOONEST, LATEST = 16, 64  # steps from one trial to the next: doubled whenever the choice stood
SHARE = 0.02  # of the time trained, that trials may cost
SHARE_AFTER_DRIFT = 0.04
Steps = Generator[int, float, None]  # yields with how many threads the next step is computed, is sent its seconds


class ThreadChoice:
    """`threads` is the number for the next step; `took` is told how many seconds it took."""

    def __init__(self, fewest: int, most: int) -> None:
        self.fewest, self.most = fewest, most
        self.chosen = most
        self.changes = 0
        self.settled = fewest == most
        self._seconds = 0.0  # of all steps
        self._cost = 0.0  # of trials: seconds above those that the chosen number would have taken
        self._price = 0.0  # of the last trial, and so of the next
        self._level = 0.0  # seconds of a step with the chosen number, when that was compared; 0: not known
        self._wait = SOONEST
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._begin()

    def resume(self, chosen: int, changes: int) -> None:
        """As an earlier part of this run left it; the number may be more than is allowed now."""
        self.chosen = self.fewest if chosen == self.fewest else self.most
        self.changes = changes
        self.settled, self._level = True, 0.0
        self._begin()

    def took(self, seconds: float) -> None:
        self._seconds += seconds
        self.threads = self._steps.send(seconds)

    def _begin(self) -> None:
        self._steps = self._training()
        self.threads = next(self._steps)

    @property
    def _other(self) -> int:
        return self.most if self.chosen == self.fewest else self.fewest

    def _training(self) -> Steps:
        if not self.settled:
            yield from self._settle()
        while True:
            yield from self._stay()
            yield from self._try_the_other()

    def _settle(self) -> Steps:
        of_one = [(yield self.fewest), (yield self.fewest)]
        of_all: list[float] = []
        for _ in range(TURNS):
            yield from turn(self.most, of_all)
            if is_clear(of_one, of_all) or is_clear(of_all, of_one):
                break
            yield from turn(self.fewest, of_one)
        one, every = median(of_one), median(of_all)
        self.chosen, self._level = (self.most, every) if every < TIE * one else (self.fewest, one)
        self.settled = True

    def _stay(self) -> Steps:
        """Until it is time to try the other number."""
        self._recent.clear()
        steps = 0
        while True:
            self._recent.append((yield self.chosen))
            steps += 1
            if self.fewest == self.most:
                continue
            if self._is_far_slower() or (self._has_drifted() and self._may_spend(SHARE_AFTER_DRIFT)):
                self._wait = SOONEST
                return
            if steps >= self._wait and self._may_spend(SHARE):
                return

    def _is_far_slower(self) -> bool:
        """Two steps: more than a trial could cost is at stake."""
        return 0 < HOPELESS * self._level < min(list(self._recent)[-2:]) and len(self._recent) > 1

    def _has_drifted(self) -> bool:
        if len(self._recent) < RECENT:
            return False
        now = median(self._recent)
        self._level = self._level or now
        return not self._level / DRIFT < now < self._level * DRIFT

    def _may_spend(self, share: float) -> bool:
        return self._cost + self._price <= share * self._seconds

    def _try_the_other(self) -> Steps:
        usual = median(self._recent)
        mine, others, spent = list(self._recent)[-2:], [], []
        for _ in range(TURNS):
            spent.append((yield self._other))
            if spent[-1] < HOPELESS * usual:
                yield from steps(self._other, TURN - 1, others)
            if spent[-1] >= HOPELESS * usual or min(others) > HOPELESS * usual:
                mine = list(self._recent)  # of two one may have been held up
                break
            if is_clear(mine, others) or (len(mine) > 2 and is_clear(others, mine)):
                break
            yield from turn(self.chosen, mine)
        ours, theirs = median(mine), median(others or spent)
        spent += others
        cost = max(0.0, sum(spent) - len(spent) * ours)
        self._cost += cost
        self._price = min(cost, 4 * ours)
        if theirs < BETTER * ours:
            self.chosen, self._level = self._other, theirs
            self.changes += 1
            self._wait = SOONEST
        else:
            self._level = ours
            self._wait = min(2 * self._wait, LATEST)


def steps(threads: int, count: int, seconds: list[float]) -> Steps:
    for _ in range(count):
        seconds.append((yield threads))


def turn(threads: int, seconds: list[float]) -> Steps:
    yield threads
    yield from steps(threads, TURN - 1, seconds)


def is_clear(fast: list[float], slow: list[float]) -> bool:
    return CLEAR * max(fast) < min(slow)
