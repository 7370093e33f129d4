"""The points of a sweep before any of them is trained: their names, and which can never run.

Runs in a child of the fork server, since both need the classes and so torch, which the launcher itself does without.
"""

from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from litconv.config import checks
from litconv.config import composed as configuration
from litconv.config.command_line import quiet
from litconv.config.messages import one_line
from litconv.run import summary
from litconv.run.naming import arm_hash, run_folder, run_name
from litconv.run.state import is_wanted, status
from litconv.sweep.parenthood import adopt


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
    with connection:
        for config in configs:
            connection.send(plan(config, checked))


def plan(config: DictConfig, checked: set[str]) -> Plan:
    from litconv import (
        build,
        match,  # here, since the launcher imports this file, and these import torch
    )

    try:
        checks.check(config)
        checks.check_libraries(config)
        settings, choices = configuration.plain(config), configuration.choices(config)
        name = run_name(settings, choices)
        folder = run_folder(settings, name)
        arm = arm_hash(settings)
        if arm not in checked and is_wanted(status(folder), config.rerun):
            data = build.data(config)
            build.check_parts(match.matched(config, data).config, data)
            checked.add(arm)
    except Exception as error:  # whatever it is, this point cannot run and the others can
        return Plan(error=one_line(error))
    trainer = settings["trainer"]
    return Plan(
        name=name,
        folder=folder,
        facts=summary.facts(settings, choices, name),
        epochs=trainer.get("max_epochs") or 1,
        accelerator=trainer.get("accelerator", "auto"),
        devices=trainer.get("devices", 1),
    )
