"""How long a model takes to count: `litconv.cost.count` beside the model's own forward of one image, in turns.

python benchmarks/counting.py [--threads 1 2] [--seconds 2] [--write] prints the table of docs/costs.md, or writes it there. The
models are of different families: what a count takes follows the number of operations, what a forward takes their size.
"""

import argparse
import re
import time
import warnings
from pathlib import Path

import timm
import torch

from litconv.cost import count
from litconv.cost.latency import Call, Latency, cpu_clock, time_beside
from litconv.device import describe

PAGE = Path(__file__).parents[1] / "docs" / "costs.md"
PLACE = re.compile(r"(?<=<!-- counting -->\n).*?(?=<!-- /counting -->)", re.DOTALL)
SIZE, FORWARDS = 224, 5
MODELS = """
    resnet18 resnet50 mobilenetv3_large_100 mobilenetv3_small_100 efficientnet_b0 regnety_002 nf_regnet_b1 densenet121
    ghostnet_100 convnext_tiny levit_128s mobilevit_s vit_tiny_patch16_224 swin_tiny_patch4_window7_224
""".split()  # noqa: SIM905  a list would take a line for each


def timed(name: str, threads: int, seconds: float) -> Latency:
    torch.set_num_threads(threads)
    model, x = timm.create_model(name, pretrained=False).eval(), torch.randn(1, 3, SIZE, SIZE)

    def forward() -> None:
        with torch.inference_mode():
            model(x)

    def forwards() -> None:  # of about the time of a count, so that both are disturbed alike
        for _ in range(FORWARDS):
            forward()

    clock = own_clock if threads == 1 else cpu_clock
    return time_beside(lambda: count(model, 3, (SIZE, SIZE)), forwards, clock, 1e3 * seconds)


def own_clock(call: Call) -> float:
    """Milliseconds of a core that this process had: with one thread the time that it took, less what others took of it."""
    started = time.process_time()
    call()
    return 1e3 * (time.process_time() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=2.0, help="of rounds per figure; 4 rounds at least")
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--write", action="store_true", help="into docs/costs.md")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    columns = [f"{n} thread{'s' * (n > 1)}: count, ms | ÷ forward" for n in arguments.threads]
    lines = [f"| model | {' | '.join(columns)} |", f"| --- |{' --- | --- |' * len(columns)}"]
    for name in arguments.models:
        latencies = [timed(name, threads, arguments.seconds) for threads in arguments.threads]
        cells = [f"{one.median_ms:.0f} | {FORWARDS * one.ratio:.1f}" for one in latencies]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    head = (
        f"{describe(torch.device('cpu'))}, torch {torch.__version__}, `python benchmarks/counting.py`, batch 1, {SIZE}²"
    )
    table = "\n".join([re.sub(r", \d+ threads?", "", head), "", *lines, ""])
    print(table)
    if arguments.write:
        PAGE.write_text(PLACE.sub(lambda _: table, PAGE.read_text()))


if __name__ == "__main__":
    main()
