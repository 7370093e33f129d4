"""Every operator, in a classifier and under every segmentation head, in ONNX Runtime and OpenVINO: the table of docs/export.md.

    python benchmarks/export_table.py objects=FOLDER streets=FOLDER
    python benchmarks/export_table.py objects=FOLDER streets=FOLDER operators=deformable,involution

The folders hold images at any depth (for the committed table CIFAR-10's and CamVid's test images). A ResNet-8 is exported once
for each cell, with a free batch, and both runtimes are asked about the same 8 images. Its weights are those at the start, but
batch norms have the statistics of these images and random gains, and deformable convolutions offsets of some pixels, or neither
would be put to the test. A cell is kept in outputs/export_table.jsonl and not made again; remove the file to begin anew. The page
is written once all cells are there; a part of them is printed.
"""

import json
import re
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from litconv import build
from litconv.config.composed import CONF, compose
from litconv.conv import Deformable
from litconv.errors import ConfigError
from litconv.export.folding import deployed
from litconv.export.formats import in_onnxruntime, in_openvino
from litconv.export.onnx import to_onnx
from litconv.export.openvino import to_openvino
from litconv.export.parity import parity_of

ROOT = Path(__file__).parents[1]
PAGE, KEPT = ROOT / "docs" / "export.md", ROOT / "outputs" / "export_table.jsonl"
NETWORKS = {
    "classification": ["data=cifar10"],
    "fcn": ["data=camvid", "task=segmentation", "head=fcn"],
    "unet": ["data=camvid", "task=segmentation", "head=unet"],
    "deeplab": ["data=camvid", "task=segmentation", "head=deeplab"],
}
VARIANTS = {
    "deformable_v2": ["conv=deformable", "conv.modulated=true"],
    "grouped_shuffle": ["conv=grouped", "conv.shuffle=true"],
}
RUNTIMES = {"ONNX Runtime": (in_onnxruntime, ".onnx"), "OpenVINO": (in_openvino, ".xml")}
IMAGES = 8
SIZES = {"objects": (32, 32), "streets": (72, 96)}  # (H, W)


def main() -> None:
    given = dict(argument.split("=", 1) for argument in sys.argv[1:])
    names = sorted(path.stem for path in Path(CONF, "conv").glob("*.yaml"))
    operators = {name: [f"conv={name}"] for name in names} | VARIANTS
    wanted = given.get("operators", ",".join(operators)).split(",")
    kept = (
        {(row["operator"], row["network"]): row for row in map(json.loads, KEPT.read_text().splitlines())}
        if KEPT.exists()
        else {}
    )
    KEPT.parent.mkdir(exist_ok=True)
    images: dict[str, Tensor] = {}
    for network, overrides in NETWORKS.items():
        for operator in wanted:
            if (operator, network) in kept:
                continue
            kind = "objects" if network == "classification" else "streets"
            if kind not in images:
                images[kind] = real_images(Path(given[kind]), SIZES[kind])
            row = cell([*overrides, *operators[operator]], images[kind])
            row = kept[operator, network] = {"operator": operator, "network": network, **row}
            with KEPT.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(row, flush=True)
    table = table_of(kept)
    if kept.keys() >= set(product(operators, NETWORKS)):
        page = PAGE.read_text()
        between = re.compile(r"(<!-- table -->\n).*?(<!-- end -->)", flags=re.DOTALL)
        PAGE.write_text(between.sub(lambda m: f"{m[1]}{table}\n{m[2]}", page))
    print(table)


def real_images(folder: Path, size: tuple[int, int]) -> Tensor:
    """Some of a folder's, spread over it."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".png", ".jpg"))
    if not files:
        sys.exit(f"error: {folder} holds no .png and no .jpg")
    pixels = [np.asarray(Image.open(file).convert("RGB").resize(size[::-1])) for file in files[:: len(files) // IMAGES]]
    images = torch.from_numpy(np.stack(pixels[:IMAGES])).permute(0, 3, 1, 2).float() / 255
    return ((images - 0.45) / 0.25).contiguous()


def cell(overrides: list[str], images: Tensor) -> dict[str, object]:
    classes = 10 if "data=cifar10" in overrides else 11
    before = time.perf_counter()
    found: dict[str, object] = {}
    try:
        model = as_if_trained(
            build.model(compose(["backbone=resnet", "backbone.depth=8", *overrides]), 3, classes), images
        )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "model.onnx")
            to_onnx(deployed(model, images[:2]), images[:2], path)
            to_openvino(path, path.with_suffix(".xml"))
            for runtime, (runner, ending) in RUNTIMES.items():
                parity = parity_of(
                    model, runner(path.with_suffix(ending)), images, runtime=runtime, images_of=overrides[0]
                )
                found[runtime] = parity.max_abs_difference
                found["limit"], found["largest"] = parity.limit, parity.largest_logit
    except (ConfigError, ValueError) as error:
        found["refused"] = str(error)
    return {**found, "seconds": round(time.perf_counter() - before, 1)}


@torch.no_grad()
def as_if_trained(model: nn.Module, images: Tensor) -> nn.Module:
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, Deformable):
            nn.init.normal_(module.offset.weight, std=0.05)
            nn.init.normal_(module.offset.bias, std=1.5)
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean of all batches
            module.weight.uniform_(0.5, 1.5)
            module.bias.normal_(std=0.2)
    model.train()(images)
    return model.eval()


def table_of(kept: dict[tuple[str, str], dict]) -> str:
    operators = sorted({operator for operator, _ in kept})
    heads = [f"{network}: {runtime}" for network in NETWORKS for runtime in RUNTIMES]
    lines = ["| operator | " + " | ".join(heads) + " |", "| --- |" + " --- |" * len(heads)]
    reasons: list[str] = []
    for operator in operators:
        cells = []
        for network in NETWORKS:
            row = kept.get((operator, network), {})
            if "refused" in row:
                reasons.append(f"- `{operator}`, {network}: {row['refused']}")
            for runtime in RUNTIMES:
                differs = row.get(runtime)
                cells.append("refused" if "refused" in row else "" if differs is None else shown(row, runtime))
        lines.append(f"| `{operator}` | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *(reasons or ["None is refused."])])


def shown(row: dict, runtime: str) -> str:
    """As a share of the largest logit."""
    share = row[runtime] / max(1.0, row["largest"])
    return f"{share:.0e}" if row[runtime] <= row["limit"] else f"**{share:.0e}**"


if __name__ == "__main__":
    main()
