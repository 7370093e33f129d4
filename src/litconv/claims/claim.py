"""A claim as its yaml in conf/claims/ has it, checked."""

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from litconv import build
from litconv.claims.hypothesis import Computed, Trained
from litconv.config import composed
from litconv.errors import ConfigError

CLAIMS = composed.CONF / "claims"
KEYS = {"title", "sentence", "source", "hypotheses"}


@dataclass(frozen=True)
class Claim:
    name: str
    title: str
    sentence: str  # what is said
    source: str
    hypotheses: list[Computed | Trained]

    @property
    def grounds(self) -> list[str]:
        """Of its runs."""
        return list(
            dict.fromkeys(ground for one in self.hypotheses if isinstance(one, Trained) for ground in one.grounds)
        )


def names() -> list[str]:
    return sorted(path.stem for path in CLAIMS.glob("*.yaml"))


def chosen(asked: object) -> list[str]:
    """`all`, one name, or a list of names."""
    known = names()
    wanted = known if asked == "all" else [asked] if isinstance(asked, str) else list(asked)
    for name in wanted:
        if name not in known:
            near = get_close_matches(str(name), known, n=1)
            meant = f"; did you mean {near[0]}?" if near else ""
            raise ConfigError(f"claims={name} is no file in conf/claims{meant} There are: {', '.join(known)}")
    if not wanted:
        raise ConfigError(f"claims=[] names none; there are: {', '.join(known)}")
    return wanted


def read(name: str, grounds: set[str]) -> Claim:
    path = Path(CLAIMS / f"{name}.yaml")
    written = composed.load(path)
    if set(written) != KEYS:
        wrong = ", ".join(sorted(map(str, set(written) ^ KEYS)))
        raise ConfigError(f"{path}: a claim has {', '.join(sorted(KEYS))}; missing or unknown: {wrong}")
    hypotheses = [build.part(node) for node in written.hypotheses]
    claim = Claim(name, written.title, written.sentence, written.source, hypotheses)
    for ground in claim.grounds:
        if ground not in grounds:
            raise ConfigError(f"{path}: grounds={ground} is no key of grounds; there are: {', '.join(sorted(grounds))}")
    return claim
