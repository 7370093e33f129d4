"""Every operator's forward beside the standard convolution's, in one run: python benchmarks/macs_are_not_speed.py

Prints Markdown: latency ÷ standard (medians over rounds in turns) at two widths, sizes and batches in both memory
formats, and Spearman's rank correlation of latency with MACs over the operators. float32, inference mode; `--device cuda`
measures a GPU, `--threads` sets a CPU's.
"""

import argparse
import itertools
from pathlib import Path

import torch
from scipy.stats import spearmanr
from torch import nn

from litconv import build
from litconv.config import composed as config
from litconv.cost.latency import clock_of, time_beside
from litconv.device import describe, device_named

FORMATS = {"contiguous (NCHW)": torch.contiguous_format, "channels_last (NHWC)": torch.channels_last}
CELLS = list(itertools.product((64, 256), (32, 56), (1, 32)))  # channels, height = width, batch


def operator(name: str, channels: int) -> nn.Module:
    torch.manual_seed(0)
    return build.part(config.compose([f"conv={name}"]).conv)(channels, channels).eval()


def ratio(one: nn.Module, standard: nn.Module, x: torch.Tensor, seconds: float) -> float:
    with torch.inference_mode():
        return time_beside(lambda: one(x), lambda: standard(x), clock_of(x.device), 1e3 * seconds).ratio


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1.0, help="of rounds per figure; 4 rounds at least")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--operators", nargs="+", help="these alone; each is measured beside the standard convolution")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = device_named(arguments.device, "--device")
    every = sorted(path.stem for path in (config.CONF / "conv").glob("*.yaml"))
    names = arguments.operators or every
    cells = [cell for cell in CELLS if cell[2] in arguments.batches]
    macs = {(n, c, s): operator(n, c).formula(s, s).macs for n in {*names, "standard"} for c, s, _ in cells}
    names.sort(key=lambda name: macs[name, *cells[0][:2]])
    print(
        f"{describe(device)}, torch {torch.__version__}, float32, `python {Path(__file__).parent.name}/{Path(__file__).name}`"
    )
    for title, memory_format in FORMATS.items():
        print(f"\n**{title}**: latency ÷ standard\n")
        heads = [f"C={c}, {s}², batch {b}" for c, s, b in cells]
        print(f"| `conv=` | MACs ÷ standard (C={cells[0][0]} / {cells[-1][0]}) | {' | '.join(heads)} |")
        print(f"| --- | --- |{' --- |' * len(cells)}", flush=True)
        columns: list[list[float]] = [[] for _ in cells]
        for name in names:
            shares = [macs[name, c, s] / macs["standard", c, s] for c, s, _ in (cells[0], cells[-1])]
            for column, (channels, size, batch) in zip(columns, cells, strict=True):
                one, standard = (
                    operator(n, channels).to(device, memory_format=memory_format) for n in (name, "standard")
                )
                x = torch.randn(batch, channels, size, size, device=device).contiguous(memory_format=memory_format)
                column.append(ratio(one, standard, x, arguments.seconds))
            figures = " | ".join(f"{column[-1]:.2f}" for column in columns)
            print(f"| `{name}` | {shares[0]:.3f} / {shares[1]:.3f} | {figures} |", flush=True)
        ranks = [
            spearmanr([macs[name, c, s] for name in names], column).statistic
            for (c, s, _), column in zip(cells, columns, strict=True)
        ]
        print(f"| Spearman's ρ with MACs | | {' | '.join(f'{rank:.2f}' for rank in ranks)} |", flush=True)


if __name__ == "__main__":
    main()
