"""Weights of a file or of a cache of this machine. Nothing is downloaded: a run must not depend on a network."""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from litconv.errors import ConfigError, some
from litconv.foreign.foreign import has_values

FILES = "name a checkpoint, a file of torch.save that holds tensors alone, or a .safetensors"


def file_of(pretrained: bool | str, cached: Path | None, what: str, download: str) -> Path | None:
    """The file to load; None where nothing is to be loaded. `download` is the command that fills the cache."""
    if pretrained is False:
        return None
    if pretrained is True and cached is None:
        raise ConfigError(
            f"backbone.pretrained=true: this machine holds no weights of {what}, and a run downloads none; where there is a "
            f'network run python -c "{download}" once, or name a file: backbone.pretrained=PATH'
        )
    path = cached if pretrained is True else Path(str(pretrained)).expanduser()
    if not path.is_file():
        raise ConfigError(f"backbone.pretrained={pretrained} is no file; name one, or true for the library's own")
    return path


def of_hub(repository: str, revision: str | None = None) -> Path | None:
    """Of Hugging Face's cache."""
    from huggingface_hub import try_to_load_from_cache

    for name in ("model.safetensors", "pytorch_model.bin"):
        found = try_to_load_from_cache(repository, name, revision=revision)
        if isinstance(found, str):
            return Path(found)
    return None


def of_url(url: str) -> Path | None:
    """Of torch.hub's cache."""
    path = Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2])
    return path if path.is_file() else None


def read(path: Path, what: str) -> Mapping[str, Any]:
    """Tensors by name; `what` is the key and value that name the file. It can be somebody else's: no code in it is run."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip and safetensors raise whatever they like
        is_other = isinstance(error, pickle.UnpicklingError)
        said = " ".join(str(error).split())[:120] or "it is empty or cut off"
        reason = "it holds other things than tensors" if is_other else said
        raise ConfigError(f"{what} cannot be read as weights ({reason}); {FILES}") from error
    for key in ("state_dict", "model"):
        state = state.get(key, state) if isinstance(state, Mapping) else {}
    return {str(name): value for name, value in state.items() if isinstance(value, torch.Tensor)}


@dataclass(frozen=True)
class Loaded:
    line: str  # what was loaded, and what was not
    share: float  # of the params


def fitting(network: nn.Module, path: Path, what: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """What the file holds (of a run's checkpoint, its task's `model`), and what of it fits by name and shape: something does."""
    own = network.state_dict()
    there = as_called(read(path, what), own)
    fits = {name: value for name, value in there.items() if name in own and own[name].shape == value.shape}
    if not any(value.ndim > 1 for value in fits.values()):
        raise ConfigError(
            f"{what} fits nothing of this model: {difference(there, own)}; name weights of the same backbone and width"
        )
    return there, fits


def as_called(there: Mapping[str, Any], own: Mapping[str, Any]) -> Mapping[str, Any]:
    """Under the names of the network, most of which decide: a task's and DDP's names have a prefix more, those of another
    library's model, which is a part of the network here, one less."""
    ways = [
        {add + name.removeprefix(cut): value for name, value in there.items()}
        for cut in ("", "model.", "module.")
        for add in ("", "backbone.network.", "backbone.")
    ]
    return max(ways, key=lambda way: len(way.keys() & own.keys()))


def difference(there: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    for name in own:
        if name in there and there[name].shape != own[name].shape:
            return f"its {name} is {tuple(there[name].shape)}, and the model's {tuple(own[name].shape)}"
    first = f"{', '.join(list(there)[:3])}, …" if there else "no tensors"
    return f"it holds {first}, and the model {', '.join(list(own)[:3])}, …"


def load(network: nn.Module, path: Path, what: str) -> Loaded:
    """What fits is loaded; what does not is named."""
    (there, fits), own = fitting(network, path, what), network.state_dict()
    network.load_state_dict(fits, strict=False)
    parameters = {name: parameter.numel() for name, parameter in network.named_parameters()}
    share = sum(count for name, count in parameters.items() if name in fits) / sum(parameters.values())
    others = {
        "of another shape": [name for name in own if name in there and name not in fits],
        "not in the file": [name for name in own if name not in there],
        "in the file alone": [name for name in there if name not in own],
    }
    rest = "".join(f"; {why}: {some(names)}" for why, names in others.items() if names)
    return Loaded(f"{len(fits)} of {len(own)} tensors loaded, {100 * share:.3g} % of the params{rest}", share)


def loaded(network: nn.Module, file: Path | None) -> str:
    """What of it was loaded; nothing where there is none, or where only shapes are of interest."""
    return load(network, file, f"backbone.pretrained={file}").line if file and has_values() else ""
