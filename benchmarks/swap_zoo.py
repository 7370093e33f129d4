"""`litconv.swap` on models of timm, torchvision and segmentation_models_pytorch: what is swapped, and whether all still holds.

python benchmarks/swap_zoo.py [--results FILE] writes the tables of docs/swap.md; --only NAME … tries these and writes no page. Of
every model and operator: the swap (with fit_groups), a forward and a backward of two random images, all values finite, the shapes
unchanged, and the MACs by two counters. A model whose only K×K convolutions are grouped or depthwise is swapped with
where={"grouped": True}. Results stand in a file, line by line, so that an interrupted run goes on.
"""

import argparse
import copy
import json
import re
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import segmentation_models_pytorch as smp
import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

import litconv
from litconv.cost import count
from litconv.errors import ConfigError

PAGE = Path(__file__).parents[1] / "docs" / "swap.md"
OPERATORS = {"grouped": {"groups": 4}, "depthwise_separable": {}, "deformable": {}, "dilated": {"rate": 2}}
SIZE, NATIVE = 64, 224
TIMM = """
    resnet18 resnet26t seresnext26t_32x4d skresnet18 resnest14d ecaresnet26t legacy_seresnet18 resnetv2_50 resnetv2_50x1_bit
    nf_resnet26 nf_regnet_b0 eca_nfnet_l0 regnetx_002 regnety_002 regnetz_005 regnetz_b16 densenet121 dpn48b vgg11 vgg11_bn
    efficientnet_b0 tf_efficientnet_es tf_efficientnet_lite0 tf_efficientnetv2_b0 efficientnetv2_rw_t mixnet_s tf_mixnet_s
    mobilenetv2_050 mobilenetv3_small_050 mobilenetv4_conv_small_050 mnasnet_small fbnetc_100 spnasnet_100 hardcorenas_a
    ghostnet_050 ghostnetv2_100 tinynet_e lcnet_035 rexnet_100 repvgg_a0 mobileone_s0 repghostnet_050 cspresnet50 cspdarknet53
    cs3darknet_s darknet53 hrnet_w18_small res2net50_14w_8s res2next50 selecsls42 dla34 dla46_c xception41 legacy_xception
    inception_v3 inception_next_atto convnext_atto convnextv2_atto poolformer_s12 convformer_s18 levit_128s levit_conv_128s
    visformer_tiny coat_lite_tiny mobilevit_xxs mobilevitv2_050 edgenext_xx_small efficientformer_l1 efficientformerv2_s0
    efficientvit_b0 efficientvit_m0 fastvit_t8 repvit_m0_9 starnet_s1 tiny_vit_5m_224 coatnet_pico_rw_224 pvt_v2_b0 gcvit_xxtiny
    davit_tiny hgnet_tiny hgnetv2_b0 ese_vovnet19b_slim tresnet_m gernet_s botnet26t_256 halonet26t lambda_resnet26t gcresnet33ts
    mambaout_femto vit_tiny_patch16_224
""".split()  # noqa: SIM905  a list would take a line for each
TORCHVISION = """
    alexnet vgg11 vgg11_bn resnet18 resnet50 resnext50_32x4d wide_resnet50_2 densenet121 squeezenet1_0 squeezenet1_1 googlenet
    inception_v3 mobilenet_v2 mobilenet_v3_small mobilenet_v3_large shufflenet_v2_x0_5 mnasnet0_5 efficientnet_b0
    efficientnet_v2_s regnet_x_400mf regnet_y_400mf convnext_tiny maxvit_t swin_t vit_b_16
""".split()  # noqa: SIM905


def models() -> Iterator[tuple[str, Callable[[], nn.Module]]]:
    yield from ((f"timm/{name}", partial(timm.create_model, name, num_classes=10)) for name in TIMM)
    for name in TORCHVISION:
        extra = {"aux_logits": False, "init_weights": True} if name in ("googlenet", "inception_v3") else {}
        yield f"torchvision/{name}", partial(torchvision.models.get_model, name, weights=None, num_classes=10, **extra)
    for name in smp.MODEL_ARCHITECTURES_MAPPING:
        encoder = "tu-vit_tiny_patch16_224" if name == "dpt" else "resnet18"
        extra = {"dynamic_img_size": True} if name == "dpt" else {}
        build = partial(smp.create_model, name, encoder_name=encoder, encoder_weights=None, classes=10, **extra)
        yield f"smp/{name}", build


def size_of(model: nn.Module) -> int:
    """The small one, where the model takes it."""
    for size in (SIZE, NATIVE):
        try:
            with torch.no_grad():
                model.eval()(torch.zeros(1, 3, size, size))
        except Exception:  # models refuse a size in many ways
            continue
        return size
    said = model.pretrained_cfg["input_size"][-1]
    return int(said)


def examined(build: Callable[[], nn.Module]) -> dict[str, Any]:
    torch.manual_seed(0)
    model = build()
    size = size_of(model)
    model.train()
    before = count(model, 3, (size, size))
    row: dict[str, Any] = {"size": size, "macs": before.macs, "agrees": before.agrees}
    for name, options in OPERATORS.items():
        row[name] = outcome(copy.deepcopy(model), name, options, size, before.macs)
    return row


def outcome(model: nn.Module, name: str, options: dict[str, Any], size: int, macs: int) -> dict[str, Any]:
    image = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        shapes = [leaf.shape for leaf in tensors(model.eval()(image))]
    grouped = False
    try:
        try:
            report = litconv.swap(model, name, fit_groups=True, probe=image, **options)
        except ConfigError as error:
            if "already" not in str(error):
                raise
            grouped = True
            report = litconv.swap(model, name, fit_groups=True, probe=image, where={"grouped": True}, **options)
    except ConfigError as error:
        return {"refused": str(error)}
    outputs = tensors(model.train()(image))
    sum(output.square().mean() for output in outputs).backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    problems = []
    if not all(value.isfinite().all() for value in (*outputs, *gradients)):
        problems.append("not finite")
    with torch.no_grad():
        if [leaf.shape for leaf in tensors(model.eval()(image))] != shapes:
            problems.append("other shapes")
    counted = count(model, 3, (size, size))
    if not counted.agrees:
        problems.append(counted.second_opinion)
    return {
        "swapped": len(report.swapped),
        "refused_layers": sorted(report.reasons("refused")),
        "grouped": grouped,
        "macs": counted.macs / macs,
        "problems": problems,
    }


def tensors(value: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]


def cell(result: dict[str, Any]) -> str:
    if "refused" in result:
        return "refused"
    return f"{result['macs']:.2f}" + "".join(f" **{problem}**" for problem in result["problems"])


def table(rows: dict[str, dict[str, Any]], library: str) -> str:
    lines = [
        f"| {library} | image | swapped | {' | '.join(OPERATORS)} | |",
        f"| --- | --- | --- | {' | '.join('---' for _ in OPERATORS)} | --- |",
    ]
    for name in (name for name, _ in models() if name.startswith(f"{library}/") and name in rows):
        row = rows[name]
        if "error" in row:
            lines.append(f"| `{name.partition('/')[2]}` | {'| ' * (2 + len(OPERATORS))}{short(row['error'])} |")
            continue
        results = [row[operator] for operator in OPERATORS]
        swapped = "/".join(dict.fromkeys(str(r["swapped"]) for r in results if "swapped" in r)) or "0"
        notes = ["with those in groups"] if any(r.get("grouped") for r in results) else []
        notes += dict.fromkeys(why for r in results for why in r.get("refused_layers", []))
        notes += dict.fromkeys(short(r["refused"]) for r in results if "refused" in r)
        cells = [f"`{name.partition('/')[2]}`", row["size"], swapped, *map(cell, results), "; ".join(notes)]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def short(reason: str) -> str:
    """The same for every operator."""
    reason = re.sub(r"; a K×K convolution of one group can.*", "", reason)
    return re.sub(r"could become conv=\w+", "could become an operator", reason).replace("|", "/")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", help="models, such as timm/resnet18")
    parser.add_argument("--results", type=Path, default=Path("outputs/swap_zoo.jsonl"))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    lines = arguments.results.read_text().splitlines() if arguments.results.exists() else []
    rows = dict(map(json.loads, lines))
    for name, build in models():
        if name in rows or (arguments.only and name not in arguments.only):
            continue
        start = time.perf_counter()
        try:
            rows[name] = examined(build)
        except Exception as error:  # of one model among many: the table says it
            rows[name] = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"}
        with arguments.results.open("a") as file:
            file.write(json.dumps([name, rows[name]]) + "\n")
        said = rows[name].get("error") or ", ".join(cell(rows[name][operator]) for operator in OPERATORS)
        print(f"{name}: {said} ({time.perf_counter() - start:.0f} s)", flush=True)
    if arguments.only:  # the tables are of all models
        return
    page = PAGE.read_text()
    for library in ("timm", "torchvision", "smp"):
        begin, end = f"<!-- {library} -->\n", f"\n<!-- /{library} -->"
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        page = before + begin + table(rows, library) + end + after
    PAGE.write_text(page)


if __name__ == "__main__":
    main()
