"""The points of a sweep before any of them is trained: their names, and which can never run.

Runs in a child of the fork server, since both need the classes and so torch, which the launcher itself does without.
"""

from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from litconv.config import checks
from litconv.config.messages import one_line
from litconv.config.quiet import quiet
from litconv.run import summary
from litconv.run.asked import Asked
from litconv.run.state import is_wanted, status
from litconv.sweep.gpu_memory import check_slots, free_bytes
from litconv.sweep.parenthood import adopt
from litconv.sweep.slots import on_gpus, visible_gpus, wanted_gpus


@dataclass
class Plan:
    """Of one point. `error` says why it is refused; the rest is then empty."""

    name: str = ""
    folder: Path = Path()
    facts: dict[str, Any] = field(default_factory=dict)  # of its summary, known before it starts
    epochs: int = 1
    accelerator: str = "auto"
    devices: int | str | list[int] = 1
    error: str = ""


def send_plans(configs: list[DictConfig], environment: dict[str, str], connection: Connection) -> None:
    adopt(environment)
    quiet()
    checked: set[str] = set()  # arms: a seed changes nothing of what can be built
    gpus = visible_gpus()
    free = free_bytes(gpus) if gpus and any(config.slots_per_gpu != 1 for config in configs) else None
    with connection:
        for config in configs:
            connection.send(plan(config, checked, gpus, free))


def plan(config: DictConfig, checked: set[str], gpus: list[str], free: int | None = None) -> Plan:
    """`free`: bytes of a GPU."""
    from litconv.prepare.checks import parts  # here, since the launcher imports this file, and this imports torch

    try:
        checks.check(config)
        asked = Asked.of(config)
        trainer = asked.settings["trainer"]
        accelerator, devices = trainer.get("accelerator", "auto"), trainer.get("devices", 1)
        if asked.arm_hash not in checked and is_wanted(status(asked.folder), config.rerun):
            made = parts(asked)
            if free is not None and on_gpus(accelerator, gpus):
                check_slots(asked, made[0].problem, free)
            checked.add(asked.arm_hash)
        if on_gpus(accelerator, gpus):
            wanted_gpus(devices, len(gpus))  # a point that asks for one that is not there would never have its turn
    except Exception as error:  # whatever it is, this point cannot run and the others can
        return Plan(error=one_line(error))
    return Plan(
        name=asked.name,
        folder=asked.folder,
        facts=summary.facts(asked),
        epochs=max(trainer.get("max_epochs") or 1, 1),  # -1: trainer.max_steps alone
        accelerator=accelerator,
        devices=devices,
    )
