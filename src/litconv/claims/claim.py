"""A claim as its yaml in conf/claims/ has it, checked."""

from dataclasses import dataclass

from litconv import build
from litconv.claims.hypothesis import Computed, Trained
from litconv.config import composed, own_yamls
from litconv.errors import ConfigError

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


def read(name: str, grounds: set[str]) -> Claim:
    path = own_yamls.yamls("claims")[name]
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
