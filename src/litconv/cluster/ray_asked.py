"""What `hydra/launcher=ray` is asked for, and whether the cluster has it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from litconv.cluster.asked import KEY, check_asked
from litconv.config.root_keys import at_least
from litconv.errors import ConfigError

BOUNDS = {"points_per_task": at_least(1), "cpus_per_task": at_least(1), "gpus_per_task": at_least(0)}


@dataclass(frozen=True)
class Asked:
    """`hydra.launcher.…`"""

    address: str
    points_per_task: int | None
    cpus_per_task: int
    gpus_per_task: float

    def check(self) -> None:
        check_asked(self, BOUNDS)

    def fits(self, node: Mapping[str, Any]) -> bool:
        """`node`: as ray.nodes() has it."""
        there = node["Resources"]
        return node["Alive"] and there.get("CPU", 0) >= self.cpus_per_task and there.get("GPU", 0) >= self.gpus_per_task

    def check_fits(self, nodes: list[dict[str, Any]]) -> None:
        """What no node has Ray would wait for without a word."""
        if any(self.fits(node) for node in nodes):
            return
        asked = {"CPU": self.cpus_per_task, "GPU": self.gpus_per_task}
        most = {
            kind: max((node["Resources"].get(kind, 0) for node in nodes if node["Alive"]), default=0) for kind in asked
        }
        short = [kind for kind in asked if asked[kind] > most[kind]] or list(asked)
        keys = " ".join(f"{KEY}.{kind.lower()}s_per_task={asked[kind]:g}" for kind in short)
        has = " and ".join(f"{most[kind]:g} {kind}s" for kind in short)
        together = "" if len(short) == 1 else ", not both on one node"
        raise ConfigError(
            f"{keys}: no node of this Ray cluster has as many, the most are {has}{together}; ask for fewer, "
            "or start a node that has them (`ray start --address=… --num-cpus=… --num-gpus=…`)"
        )


def refuse_to_leave() -> None:
    raise ConfigError(
        "wait=false: hydra/launcher=ray has no queue that outlives this command; leave it out, and to leave hand Ray the "
        "whole command: ray job submit --no-wait -- python train.py -m …"
    )
