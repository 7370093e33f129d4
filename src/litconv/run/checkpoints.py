"""Checkpoints that cannot be torn (see `atomic`). Plain types only, so that `torch.load(weights_only=True)` reads them;
files of this machine only, no URLs.
"""

import io
import pickle
import re
from collections import Counter, OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import CheckpointIO

from litconv.errors import ConfigError, DataError, TrainingError
from litconv.files import local, write_whole

PLAIN = {
    *(type(None), bool, int, float, complex, str, bytes, bytearray),
    *(torch.Tensor, torch.nn.Parameter, torch.dtype, torch.device),
}


def read(path: Path) -> dict[str, Any]:
    """A checkpoint on the CPU, or one line why it cannot be read."""
    local(path, "checkpoint")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = " ".join(str(error).split())
        foreign = re.search(r"GLOBAL (\S+)", reason)
        reason = f"it holds {foreign[1]}, more than plain types" if foreign else "it is corrupt"
        raise DataError(f"{path} cannot be read as a checkpoint ({reason})") from error
    except (OSError, RuntimeError, LookupError, EOFError, ValueError, TypeError, AttributeError) as error:
        reason = getattr(error, "strerror", None) or "it is corrupt"
        raise DataError(f"{path} cannot be read as a checkpoint ({reason})") from error
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        raise DataError(f"{path} cannot be read as a checkpoint (it holds no state_dict)")
    states = checkpoint.get("callbacks", {})
    if "Timing" in states.get("Together", {}):  # of an earlier version, in which one callback held several
        states |= states.pop("Together")
    return checkpoint


def load_into(task: torch.nn.Module, checkpoint: dict[str, Any], path: Path) -> None:
    """The weights into a freshly built task, or one line on how they differ."""
    require_fit(task, checkpoint, path)
    task.load_state_dict(checkpoint["state_dict"])


def require_fit(task: torch.nn.Module, checkpoint: dict[str, Any], path: Path) -> None:
    """Of an equal config.yaml the model differs where the data have other classes."""
    if differing := first_difference(checkpoint["state_dict"], task.state_dict()):
        key, saved, wanted = differing
        raise ConfigError(
            f"{path} does not fit the model of config.yaml: {key} is {saved} there and {wanted} in the model; if "
            "the data have other classes since, train the run anew: remove its folder"
        )


def first_difference(
    saved: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]
) -> tuple[str, Any, Any] | None:
    """By name: what it is called, and its shapes; `none` where it is not. None where all are alike."""
    for key in sorted(saved.keys() | wanted.keys()):
        shapes = [tuple(state[key].shape) if key in state else "none" for state in (saved, wanted)]
        if shapes[0] != shapes[1]:
            return key, *shapes
    return None


def foreign_value(value: Any, where: str = "") -> str | None:
    """Where, and of what class, is something in it that `weights_only=True` would refuse to load."""
    if type(value) in (dict, OrderedDict, Counter):
        pairs = [(f"{where}.{key}".lstrip("."), child) for key, child in value.items()]
        pairs += [(f"a key of {where}", key) for key in value]
    elif type(value) in (list, tuple, set, torch.Size):
        pairs = [(f"{where}[{index}]", child) for index, child in enumerate(value)]
    elif type(value) in PLAIN:
        return None
    else:
        return f"{where} is of {type(value).__module__}.{type(value).__qualname__}"
    return next((foreign for name, child in pairs if (foreign := foreign_value(child, name))), None)


def taken_to(folder: Path, checkpoint: dict[str, Any]) -> dict[str, Any]:
    """The checkpoint of a run that may have been moved since, with the paths that its ModelCheckpoints keep as they are in
    `folder`: finding others, Lightning forgets which score was the best so far, and the next one replaces it."""
    states = [state for state in checkpoint.get("callbacks", {}).values() if "best_model_path" in state]
    before = {state["dirpath"] for state in states if state["monitor"] is None}  # it wrote this file, into its folder
    for state in states:
        if state["dirpath"] in before:
            state.update({key: replaced(value, str(state["dirpath"]), str(folder)) for key, value in state.items()})
    return checkpoint


def replaced(value: Any, before: str, now: str) -> Any:
    """A path, or a dictionary by paths, with another folder."""
    if isinstance(value, dict):
        return {replaced(path, before, now): child for path, child in value.items()}
    return now + value.removeprefix(before) if isinstance(value, str) and value.startswith(before) else value


class AtomicCheckpoints(CheckpointIO):
    """Lightning's own moves a file from the system's temporary folder, which on another file system is a plain copy."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: object = None) -> None:
        path = local(path, "checkpoint")
        if foreign := foreign_value(checkpoint):
            raise TrainingError(
                f"{path.name} would hold more than plain types: {foreign}; return plain types and tensors"
            )
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, buffer.getvalue())
        except OSError as error:
            raise TrainingError(
                f"{path} could not be written ({error.strerror}); the previous checkpoint stands: "
                "make room, and the same command goes on from it"
            ) from error

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        path = local(path, "checkpoint")
        return taken_to(path.resolve().parent, read(path))

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)
