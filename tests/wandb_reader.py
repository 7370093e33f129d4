"""A run's .wandb file, read by wandb's own core (as `wandb leet inspect` does)."""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from wandb.util import get_core_path

PATIENCE_SECONDS = 3


def records(folder: Path) -> list[dict[str, Any]]:
    """All records of the one run below this folder."""
    files = list(folder.rglob("*.wandb"))
    assert len(files) == 1, files
    found = records_of(files[0])
    patience = time.monotonic() + PATIENCE_SECONDS
    while not any(record["type"] == "exit" for record in found) and time.monotonic() < patience:
        time.sleep(0.3)  # on a busy machine wandb's own process may write the end after `finish` has returned
        found = records_of(files[0])
    return found


def records_of(file: Path) -> list[dict[str, Any]]:
    inspect = [get_core_path(), "leet", "inspect", "-json", "-no-observability", "-run-file", str(file)]
    done = subprocess.run([*inspect, str(file.parent.parent)], capture_output=True, text=True, check=True, timeout=60)
    return [json.loads(line) for line in done.stdout.splitlines()]


def read_run(folder: Path) -> dict[str, Any]:
    """{run: name, group, tags …; config; history: rows; summary; exit_code (None: never closed)}"""
    found = {"run": {}, "config": {}, "history": [], "summary": {}, "exit_code": None}
    for record in records(folder):
        value = record.get(record["type"])
        if record["type"] == "run":
            found["config"].update(value.pop("config", {}).get("update", {}))
            found["run"] = value
        elif record["type"] == "config":
            found["config"].update(value.get("update", {}))
        elif record["type"] == "history":
            found["history"].append(value["item"])
        elif record["type"] == "summary":
            found["summary"].update(value.get("update", {}))
        elif record["type"] == "exit":
            found["exit_code"] = value.get("exit_code", 0)
    return found
