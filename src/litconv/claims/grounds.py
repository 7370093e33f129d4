"""What a hypothesis is tested on."""

import shlex
from dataclasses import dataclass


@dataclass(frozen=True)
class Ground:
    name: str
    overrides: str  # of all runs on it
    title: str
    real: bool  # photographs, no images made in memory
    missing: str = ""  # why nothing can be trained on it

    def shown(self, overrides: str) -> str:
        """Without the place where its data lie on this machine."""
        tokens = [
            f"data.root=${self.name.upper()}" if t.startswith("data.root=") else t for t in shlex.split(overrides)
        ]
        return " ".join(t if t.startswith("data.root=$") else shlex.quote(t) for t in tokens)
