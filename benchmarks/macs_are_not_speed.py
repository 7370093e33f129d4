"""Every operator's speed beside the standard convolution's, where it may run: python benchmarks/macs_are_not_speed.py

Prints Markdown: a table for each number of channels, size and batch, a column for each place: PyTorch in both memory formats,
ONNX Runtime and OpenVINO in float32 and int8. Figures are latency ÷ standard (medians over rounds in turns), and below them
Spearman's rank correlation with MACs over the operators. Three of an operator in a row, each followed by a ReLU, so that int8
stays int8 between them; averages of each channel come out. `--device cuda` measures a GPU, without the runtimes; `--threads`
sets a CPU's.
"""

import argparse
import itertools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from scipy.stats import spearmanr
from torch import nn

from litconv import build
from litconv.config import composed as config
from litconv.cost.deployed_keys import PRECISIONS, RUNTIMES, Place
from litconv.cost.latency import Latency, clock_of, cpu_clock, time_beside, waits_for_a_core
from litconv.device import describe, device_named
from litconv.errors import ExportError
from litconv.runtimes import opened
from litconv.runtimes.files import write_files
from litconv.runtimes.int8 import Calibration
from litconv.runtimes.scheme import scheme_here

FORMATS = {"PyTorch, NCHW": torch.contiguous_format, "PyTorch, NHWC": torch.channels_last}
PLACES = [Place(runtime, precision) for runtime, precision in itertools.product(RUNTIMES, PRECISIONS)]
IN_A_ROW = 3
CALIBRATION = 16  # images
Call = Callable[[], object]


def operator(name: str, channels: int) -> nn.Module:
    torch.manual_seed(0)
    return build.part(config.compose([f"conv={name}"]).conv)(channels, channels).eval()


def network(name: str, channels: int) -> nn.Module:
    made = [layer for _ in range(IN_A_ROW) for layer in (operator(name, channels), nn.ReLU())]
    return nn.Sequential(*made, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()


class Files:
    """Of one operator at one size, for all batches."""

    def __init__(self, name: str, channels: int, size: int, places: Sequence[Place]) -> None:
        self.folder = tempfile.TemporaryDirectory()
        images = torch.randn(CALIBRATION, channels, size, size, generator=torch.Generator().manual_seed(0))
        self.paths, self.refusal = {}, ""
        if places:
            try:
                model, calibration = network(name, channels), Calibration(images.numpy())
                folder = Path(self.folder.name)
                self.paths = write_files(model, images[:1], places, calibration, scheme_here(), folder).paths
            except ExportError as error:
                self.refusal = f"`{name}` is not exported: {error}"


class Bench:
    def __init__(self, arguments: argparse.Namespace) -> None:
        self.device = device_named(arguments.device, "--device")
        self.threads, self.budget_ms = arguments.threads, 1e3 * arguments.seconds
        self.places = [] if self.device.type != "cpu" else [one for one in PLACES if one.runtime in arguments.runtimes]
        self.files: dict[tuple[str, int, int], Files] = {}

    @property
    def columns(self) -> list[str]:
        return [*FORMATS, *(place.label for place in self.places)]

    def latencies(self, name: str, channels: int, size: int, batch: int) -> Iterator[Latency | None]:
        """Beside the standard convolution, one for each column; None where it cannot be exported."""
        images = torch.randn(batch, channels, size, size)
        for memory_format in FORMATS.values():
            x = images.to(self.device).contiguous(memory_format=memory_format)
            both = [network(n, channels).to(self.device, memory_format=memory_format) for n in (name, "standard")]
            with torch.inference_mode():
                calls = [lambda model=model, x=x: model(x) for model in both]
                yield time_beside(*calls, clock_of(self.device), self.budget_ms, waits_for_a_core)
        own, standard = (self.written(n, channels, size) for n in (name, "standard"))
        for place in self.places:
            if place not in own.paths:
                yield None
                continue
            sessions = [opened(place.runtime, one.paths[place], self.threads, batch) for one in (own, standard)]
            calls = [lambda session=session: session(images.numpy()) for session in sessions]
            yield time_beside(*calls, cpu_clock, self.budget_ms, waits_for_a_core)

    def written(self, name: str, channels: int, size: int) -> Files:
        key = (name, channels, size)
        if key not in self.files:
            self.files[key] = Files(name, channels, size, self.places)
        return self.files[key]

    def table(self, names: Sequence[str], channels: int, size: int, batch: int) -> None:
        macs = {name: operator(name, channels).formula(size, size).macs for name in {*names, "standard"}}
        names = sorted(names, key=macs.get)
        print(f"\n**C = {channels}, {size}×{size}, batch {batch}**: latency ÷ standard\n")
        print(f"| `conv=` | MACs ÷ standard | {' | '.join(self.columns)} |")
        print(f"| --- | --- |{' --- |' * len(self.columns)}", flush=True)
        found: dict[str, list[Latency | None]] = {}
        for name in names:
            found[name] = list(self.latencies(name, channels, size, batch))
            figures = " | ".join("–" if one is None else f"{one.ratio:.2f}" for one in found[name])
            print(f"| `{name}` | {macs[name] / macs['standard']:.3f} | {figures} |", flush=True)
        print(f"| Spearman's ρ with MACs | | {' | '.join(self.correlations(names, macs, found))} |", flush=True)
        if "standard" in found:
            milliseconds = " | ".join("–" if one is None else f"{one.median_ms:.3g} ms" for one in found["standard"])
            print(f"| `standard` takes | | {milliseconds} |", flush=True)

    def correlations(
        self, names: Sequence[str], macs: dict[str, int], found: dict[str, list[Latency | None]]
    ) -> Iterator[str]:
        for column in range(len(self.columns)):
            known = [name for name in names if found[name][column] is not None]
            rho = spearmanr([macs[name] for name in known], [found[name][column].ratio for name in known]).statistic
            yield f"{rho:.2f}".replace("-", "−")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1.0, help="of rounds per figure; 4 rounds at least")
    parser.add_argument("--channels", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--sizes", type=int, nargs="+", default=[32], help="height = width")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--runtimes", nargs="*", choices=list(RUNTIMES), default=list(RUNTIMES))
    parser.add_argument("--operators", nargs="+", help="these alone; each is measured beside the standard convolution")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    bench = Bench(arguments)
    names = arguments.operators or sorted(path.stem for path in (config.CONF / "conv").glob("*.yaml"))
    threads = f"{arguments.threads} thread{'s' * (arguments.threads != 1)}"
    where = describe(bench.device) if threads in describe(bench.device) else f"{describe(bench.device)}, {threads}"
    print(f"{where}, torch {torch.__version__}, `python {Path(__file__).parent.name}/{Path(__file__).name}`")
    for channels, size, batch in itertools.product(arguments.channels, arguments.sizes, arguments.batches):
        bench.table(names, channels, size, batch)
    for refusal in dict.fromkeys(one.refusal for one in bench.files.values() if one.refusal):
        print(f"\n{refusal}")


if __name__ == "__main__":
    main()
