"""A run's .wandb file, read by wandb itself (`wandb leet inspect`, the same core that syncs it)."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def records(folder: Path) -> list[dict[str, Any]]:
    """All records of the one run below this folder."""
    files = list(folder.rglob("*.wandb"))
    assert len(files) == 1, files
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(files[0])]
    out = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    return [json.loads(line) for line in out.splitlines()]


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
