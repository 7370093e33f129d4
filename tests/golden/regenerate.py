"""The ledger of costs: every operator in every backbone, by its default yaml, at width 1, 32 px and ten classes.

python tests/golden/regenerate.py writes cost.json anew, and the choices that README's table lacks; the tests compare exactly,
so a cost changes only on purpose.
"""

import copy
import json
import re
import sys
from functools import cache
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from litconv.build import assemble
from litconv.config.composed import compose
from litconv.cost import Count, count

LEDGER = Path(__file__).with_name("cost.json")
README = Path(__file__).parents[2] / "README.md"
COMMAND = "python tests/golden/regenerate.py"
CONF = Path(__file__).parents[2] / "conf"
OPERATORS = sorted(path.stem for path in (CONF / "conv").glob("*.yaml"))
OWN = "litconv.backbones."  # other libraries' models change with their versions
BACKBONES = sorted(path.stem for path in (CONF / "backbone").glob("*.yaml") if OWN in path.read_text())


@cache
def composed(backbone: str, head: str) -> DictConfig:
    return compose([f"backbone={backbone}", f"head={head}"])


def model(backbone: str, operator: str, head: str = "linear") -> nn.Module:
    """Without memory: shapes are all that counting needs."""
    config = copy.deepcopy(composed(backbone, head))
    config.conv = OmegaConf.load(CONF / "conv" / f"{operator}.yaml")
    with torch.device("meta"):
        return assemble(config, in_channels=3, num_classes=10)


def counted(backbone: str, operator: str) -> Count:
    return count(model(backbone, operator), 3, (32, 32))


def row(cost: Count) -> dict[str, int | None]:
    return {
        "params": cost.params,
        "macs": cost.macs,
        "activations": cost.activations,
        "elementwise_ops": cost.elementwise_ops,
        "peak_activation_bytes": cost.peak and cost.peak.float32,
    }


def with_every_choice(readme: str, conf: Path) -> str:
    """README with the choices of `conf` that a row of its table does not name yet, at the row's end."""

    def completed(row: re.Match) -> str:
        names = sorted(path.stem for path in (conf / row["group"]).glob("*.yaml"))
        lacking = [f"`{name}`" for name in names if f"`{name}`" not in row["choices"]]
        return f"| `{row['group']}=` | {', '.join([row['choices'], *lacking])} |"

    return re.sub(r"^\| `(?P<group>\w+)=` \| (?P<choices>[^|]*) \|$", completed, readme, flags=re.MULTILINE)


def main() -> None:
    rows = [
        f'  "{backbone} {operator}": {json.dumps(row(counted(backbone, operator)))}'
        for backbone in BACKBONES
        for operator in OPERATORS
    ]
    LEDGER.write_text("{\n" + ",\n".join(rows) + "\n}\n")
    README.write_text(with_every_choice(README.read_text(), CONF))
    print(f"{len(rows)} rows in {LEDGER}; README's table names every choice")


if __name__ == "__main__":
    sys.exit(main())
