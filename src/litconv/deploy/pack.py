"""arms.zip: the ONNX file of every arm, and one file of Python that measures them on another machine (`runner.py`).

scp arms.zip rpi5: && ssh rpi5 python arms.zip --out rpi5.csv && scp rpi5:rpi5.csv .
"""

import hashlib
import io
import json
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from litconv.cost.architecture import architecture_hash
from litconv.deploy import runner
from litconv.deploy.arms import Arm, network_of
from litconv.errors import ConfigError, ExportError
from litconv.export import deployed
from litconv.export.onnx import OPSET, to_onnx
from litconv.files import write_whole
from litconv.run.summary import versions
from litconv.trained import Trained, load
from litconv.trained.loading import untrained

INT8 = ("int8_arm", "int8_x86")  # processors differ in the integers that they multiply
Quantise = Callable[
    [Path, Mapping[str, Path], Trained], None
]  # an ONNX file, where its forms of INT8 go, whose network it is
EXPECTED = 256  # logits that are kept, by which a machine sees that it computes the same
EPOCH = (1980, 1, 1, 0, 0, 0)  # equal packs are equal files
README = """Measure these networks on this machine, with Python 3.8 or later:

    pip install numpy onnxruntime
    python arms.zip --out rpi5.csv

(--help: threads, batch, seconds.) Copy the CSV back and hand it to the comparison: device=rpi5.csv
"""


@dataclass(frozen=True)
class Network:
    """What one entry of the pack is made of. Without an arm it is a reference alone: standard convolutions as they are drawn,
    which cost what trained ones do."""

    name: str
    trained: Trained
    key: tuple[Any, ...]  # equal for equal networks on equal images
    standard: tuple[Any, ...]  # the key of its reference
    arm: Arm | None


@dataclass(frozen=True)
class Packed:
    manifest: dict[str, Any]
    left_out: dict[str, str]  # arm → why it cannot be exported

    @property
    def arms(self) -> list[str]:
        return [entry["arm"] for entry in self.manifest["arms"] if entry["measured"]]


def write_pack(
    arms: Sequence[Arm],
    path: Path,
    *,
    batch: int = 32,
    quantise: Quantise | None = None,
    allowed_packages: Sequence[str] = (),
) -> Packed:
    """`quantise` adds the int8 forms of every network; without it the pack has float32 alone."""
    if path.suffix != ".zip" or path.is_dir():
        raise ConfigError(f"pack={path} must be a file that ends in .zip")
    if type(batch) is not int or batch < 1:
        raise ConfigError(f"batch={batch} must be a whole number, at least 1")
    left_out: dict[str, str] = {}
    there: list[Network] = []
    entries: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, network in enumerate(networks_of(arms, allowed_packages)):
            try:
                entries.append(exported(network, number, folder, quantise))
                there.append(network)
            except ExportError as error:
                left_out[network.name] = str(error)
        keys = [network.key for network in there]
        if not any(network.arm for network in there):
            raise ExportError(f"pack={path}: no arm can be exported: {next(iter(left_out.values()))}")
        if any(network.standard not in keys for network in there):
            raise ExportError(
                f"pack={path}: the standard convolutions that latencies refer to cannot be exported: "
                f"{next(reversed(left_out.values()))}"
            )
        for entry, network in zip(entries, there, strict=True):
            entry["reference"] = keys.index(network.standard)
        manifest = manifest_of(entries, batch)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, zipped(manifest, folder))
    return Packed(manifest, left_out)


def networks_of(arms: Sequence[Arm], allowed_packages: Sequence[str]) -> list[Network]:
    """Those of the arms, and behind them the references that none of the arms is."""
    networks: list[Network] = []
    references = []
    for arm in arms:
        trained = load(arm.folder, allowed_packages=allowed_packages)
        images = (trained.card.in_channels, trained.card.image_size, trained.card.num_classes)
        key, of_standard = ((network_of(config), *images) for config in (arm.config, arm.standard))
        networks.append(Network(arm.name, trained, key, of_standard, arm))
        references.append((of_standard, arm.standard, trained))
    there = {network.key for network in networks}
    for key, standard, of in references:
        if key not in there:
            there.add(key)
            model = untrained(standard, of.card).eval()
            twin = Trained(model, of.card, of.folder, of.checkpoint)
            networks.append(Network("standard, as the reference", twin, key, key, None))
    return networks


def exported(network: Network, number: int, folder: Path, quantise: Quantise | None) -> dict[str, Any]:
    """Its entry in the manifest; its files lie in `folder`."""
    card, arm = network.trained.card, network.arm
    shape = [card.in_channels, *card.image_size]
    images = torch.from_numpy(runner.example(np, [2, *shape]))
    paths = {"float32": folder / f"{number:03}_float32.onnx"}
    to_onnx(deployed(network.trained.model, images), images, paths["float32"])
    if quantise is not None:
        int8 = {form: folder / f"{number:03}_{form}.onnx" for form in INT8}
        quantise(paths["float32"], int8, network.trained)
        paths |= int8
    expected = network.trained.logits(torch.from_numpy(runner.example(np, [1, *shape]))).flatten()[:EXPECTED]
    return {
        "arm": network.name,
        "measured": arm is not None,
        "run": arm.run if arm else "",
        "network": architecture_hash(network.trained.model),
        "task": card.task,
        "image": shape,
        "files": {form: file_of(file) for form, file in paths.items()},
        "expected": [float(f"{value:.7g}") for value in expected.tolist()],
    }


def file_of(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    return {"file": f"models/{path.name}", "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def manifest_of(entries: list[dict[str, Any]], batch: int) -> dict[str, Any]:
    """`pack` is a hash of all the rest: equal for equal files and versions."""
    made_by = {name: versions()[name] for name in ("litconv", "torch")}
    facts = {"version": runner.VERSION, "versions": made_by, "opset": OPSET, "batch": batch, "arms": entries}
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return {"pack": digest[:12], **facts}


def zipped(manifest: dict[str, Any], folder: Path) -> bytes:
    """`python arms.zip` runs its __main__.py."""
    content = {
        "__main__.py": Path(runner.__file__).read_bytes(),
        "README.txt": README.encode(),
        "manifest.json": json.dumps(manifest, indent=2).encode(),
    }
    files = [file["file"] for entry in manifest["arms"] for file in entry["files"].values()]
    content |= {file: (folder / Path(file).name).read_bytes() for file in files}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, data in content.items():
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data, zipfile.ZIP_DEFLATED)
    return made.getvalue()
