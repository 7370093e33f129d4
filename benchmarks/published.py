"""Recipes of conf/experiment against published figures: python benchmarks/published.py --cifar10 FOLDER --camvid FOLDER

Trains the rows of benchmarks/published.yaml as one sweep, which goes on where it stopped, and prints what each reached
beside what it must (Markdown; also OUT/published.md). Exit status 1 where one is below. Without a GPU it says what it would
train, and trains nothing; `--train` does so all the same. FOLDER: what holds cifar-10-batches-py, or images as
train/<class>/*; CamVid as data=camvid reads it.
"""

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import yaml

from litconv.claims.sweeping import sweep
from litconv.compare.collect import load
from litconv.config import composed
from litconv.run.asked import Asked
from litconv.sweep.slots import visible_gpus

TABLE = Path(__file__).with_suffix(".yaml")
COMMON = ["logger=csv", "cost.latency.enabled=false"]
CIFAR = ["++data.mean=[0.4914,0.4822,0.4465]", "++data.std=[0.2470,0.2435,0.2616]"]
HEADS = ("network", "recipe", "figure", "published", "at least", "reached", "seeds", "training, s", "result")


@dataclass(frozen=True)
class Row:
    name: str
    overrides: str  # of the recipe
    figure: str  # key of summary.json
    published: float | None
    least: float
    params: int
    macs: float

    @property
    def set(self) -> str:
        """The data set that it needs."""
        return composed.choices(composed.compose(shlex.split(self.overrides)))["data"]


def rows(only: Sequence[str] = ()) -> list[Row]:
    """Those whose recipe is named; all of them where none is."""
    table = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    made = [Row(name, **values) for name, values in table.items()]
    return [row for row in made if not only or shlex.split(row.overrides)[0].removeprefix("experiment=") in only]


def place(kind: str, root: Path) -> list[str]:
    """The overrides that say where a set lies."""
    is_images = kind == "cifar10" and (root / "train").is_dir()
    return [*(["data=image_folder", *CIFAR] if is_images else []), f"data.root={root}"]


def points(chosen: Sequence[Row], roots: Mapping[str, Path], common: Sequence[str]) -> dict[str, str]:
    """Name → overrides, of the rows whose set is there."""
    return {
        row.name: shlex.join([*shlex.split(row.overrides), *place(row.set, roots[row.set]), *common])
        for row in chosen
        if row.set in roots
    }


def reached(point: str, runs: pd.DataFrame, figure: str) -> tuple[list[float], float]:
    """That figure of each completed run of the point, and the mean seconds of their training."""
    if "arm_hash" not in runs or figure not in runs:
        return [], 0.0
    arm = Asked.of(composed.compose(shlex.split(point))).arm_hash
    mine = runs[(runs["status"] == "completed") & (runs["arm_hash"] == arm)]
    return mine[figure].dropna().tolist(), float(mine["train/seconds"].mean()) if len(mine) else 0.0


def judged(row: Row, values: Sequence[float], seconds: float, missing: str) -> list[str]:
    told = [row.name, f"`{row.overrides}`", row.figure, f"{row.published or ''}", f"{row.least:g}"]
    if not values:
        return [*told, "", "0", "", missing or "not trained"]
    mean = sum(values) / len(values)
    spread = f" ± {pd.Series(values).std():.4f}" if len(values) > 1 else ""
    return [
        *told,
        f"{mean:.4f}{spread}",
        str(len(values)),
        f"{seconds:.0f}",
        "reached" if mean >= row.least else "BELOW",
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar10", type=Path, metavar="FOLDER")
    parser.add_argument("--camvid", type=Path, metavar="FOLDER")
    parser.add_argument("--only", default="", help="recipes, such as cifar10_fast,camvid_unet")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("outputs"), help="the sweep lies in OUT/sweeps/published")
    parser.add_argument("--train", action="store_true", help="on a CPU, too")
    parser.add_argument("overrides", nargs="*", help="of all runs, such as slots_per_gpu=2 compile.enabled=true")
    given = parser.parse_args()
    chosen = rows(given.only.split(",") if given.only else ())
    if not chosen:
        parser.error(f"--only {given.only}: no row of {TABLE.name} has such a recipe")
    roots = {kind: root.resolve() for kind in ("cifar10", "camvid") if (root := getattr(given, kind))}
    if absent := [root for root in roots.values() if not root.is_dir()]:
        parser.error(f"{absent[0]}: there is no such folder")
    to_train = points(chosen, roots, [*COMMON, *given.overrides])
    missing = {row.name: f"not run: --{row.set} FOLDER was not given" for row in chosen if row.set not in roots}
    folder, status = given.out.resolve() / "sweeps" / "published", 0
    if not visible_gpus() and not given.train:
        print("There is no GPU here, so nothing is trained (--train does all the same). It would train:\n")
        for row in chosen:
            print(f"python train.py {to_train.get(row.name) or f'{row.overrides} data.root=FOLDER'}")
        print()
    elif to_train:
        launch = ["sweep=published", f"seeds={given.seeds}", f"output_dir={given.out.resolve()}"]
        status = sweep(list(to_train.values()), folder / "points.txt", launch)
        if status not in (0, 1):  # interrupted
            return status
    runs = load(folder) if folder.is_dir() else pd.DataFrame()
    found = {row.name: reached(to_train[row.name], runs, row.figure) for row in chosen if row.name in to_train}
    table = [judged(row, *found.get(row.name, ([], 0.0)), missing.get(row.name, "")) for row in chosen]
    text = "\n".join(f"| {' | '.join(cells)} |" for cells in (HEADS, ["---"] * len(HEADS), *table))
    print(text)
    if folder.is_dir():
        (folder.parent.parent / "published.md").write_text(f"{text}\n", encoding="utf-8")
    return 1 if status or any(cells[-1] == "BELOW" for cells in table) else 0


if __name__ == "__main__":
    sys.exit(main())
