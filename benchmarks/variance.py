"""The variance of every slot's output at the start ÷ that of the standard convolution in the same place.

    python benchmarks/variance.py [--seeds 5] [--layers vgg]

`alone`: the operator by itself, 64 → 64 channels, on white noise of 40×40, mean over the seeds, which a test holds to 10 %.
The other columns: inside a backbone, in train mode, a batch of 32×32 images of `shapes`; the least and the greatest ratio of
any slot with any seed, and in brackets the median of all.
"""

import argparse
import statistics
from functools import cache
from itertools import chain
from pathlib import Path

import torch
from torch import nn

from litconv import build
from litconv.config.composed import CONF, compose
from litconv.conv.initial import initialise

Variances = dict[str, list[float]]  # name of a slot → variance of its output with each seed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--layers", help="a backbone whose slots are listed one by one")
    options = parser.parse_args()
    operators = [name for name in names("conv") if name != "standard"]
    if options.layers:
        columns = {name: ratios(name, options.layers, options.seeds) for name in operators}
        print(row("slot", *columns), row(*["---"] * (1 + len(columns))), sep="\n")
        for slot in next(iter(columns.values())):
            print(row(slot, *(spread(column[slot]) for column in columns.values())))
        return
    backbones = names("backbone")
    print(row("operator", "alone", *backbones), row(*["---"] * (2 + len(backbones))), sep="\n")
    for name in operators:
        spreads = [spread(list(chain(*ratios(name, backbone, options.seeds).values()))) for backbone in backbones]
        bare = alone(name, options.seeds) / alone("standard", options.seeds)
        print(row(name, f"{bare:.2f}", *spreads), flush=True)


def names(group: str) -> list[str]:
    return sorted(path.stem for path in Path(CONF, group).glob("*.yaml"))


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def spread(values: list[float]) -> str:
    return f"{min(values):.2f}–{max(values):.2f} ({statistics.median(values):.2f})"


def ratios(operator: str, backbone: str, seeds: int) -> Variances:
    own, standard = inside(operator, backbone, seeds), inside("standard", backbone, seeds)
    return {slot: [a / b for a, b in zip(own[slot], standard[slot], strict=True)] for slot in standard}


@cache
def alone(operator: str, seeds: int) -> float:
    """Mean over the seeds."""
    factory, found = build.part(compose([f"conv={operator}"]).conv), []
    for seed in range(seeds):
        module = factory(64, 64)
        initialise(module, seed)
        with torch.inference_mode():
            noise = torch.randn(1, 64, 40, 40, generator=torch.Generator().manual_seed(seed))
            found.append(module(noise).var().item())
    return statistics.fmean(found)


@cache
def inside(operator: str, backbone: str, seeds: int) -> Variances:
    found: Variances = {}
    for seed in range(seeds):
        config = compose([f"conv={operator}", f"backbone={backbone}", f"seed={seed}"])
        model = build.model(config, 3, 10)
        for name, module in slots(model.backbone, build.target(config.conv)).items():
            module.register_forward_hook(keep(found.setdefault(name, [])))
        with torch.inference_mode():
            model.train()(images())
    return found


def slots(backbone: nn.Module, operator: type) -> dict[str, nn.Module]:
    return {name: module for name, module in backbone.named_modules() if type(module) is operator}


def keep(found: list[float]):
    return lambda module, inputs, output: found.append(output.var().item())


@cache
def images() -> torch.Tensor:
    """(64, 3, 32, 32), as training gets them."""
    data = build.data(compose(["++data.n_train=64", "++data.n_val=32", "++data.n_test=32", "data.batch_size=64"]))
    data.prepare_data()
    data.setup("fit")
    return next(iter(data.train_dataloader()))[0]


if __name__ == "__main__":
    main()
