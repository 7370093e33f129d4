"""CIFAR-10, ResNet-20, bf16: a run that is ended by SIGTERM in its midst, started again, and must come to its end as one run."""

import csv
import signal
import time
from pathlib import Path

from gpu_parts.commands import images_of, network, summary, train
from gpu_parts.part import Report, Setting

LEAST = {True: 0.70, False: 0.90}  # test accuracy, of a real set and of drawn images, after 20 epochs


def run(setting: Setting, report: Report) -> None:
    data, is_real = images_of(setting)
    epochs, stop_after = (5, 1) if setting.quick else (20, 8)
    asked = [*data, *network(setting), f"epochs={epochs}", "trainer.precision=bf16-mixed"]
    asked += ["cost.latency.enabled=false"] * setting.quick
    process = train(setting, *asked)
    while process.poll() is None and len(rows(setting.folder)) < stop_after and setting.left() > 0:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    code = process.wait()
    first = summary(run_folder(setting.folder))
    report.check("SIGTERM ends a run", code == 143 and first.get("status") == "interrupted", f"exit status {code}")
    before = len(rows(setting.folder))
    code = train(setting, *asked).wait()
    found, after = summary(run_folder(setting.folder)), rows(setting.folder)
    report.check(
        "the same command takes it up",
        code == 0 and found.get("status") == "completed" and 0 < before < epochs,
        f"{before} of {epochs} epochs before, exit status {code}, {found.get('status')}",
    )
    trained = [row["epoch"] for row in after]
    report.check("each epoch is trained once", trained == [str(epoch) for epoch in range(epochs)], ", ".join(trained))
    losses = [float(row["train/loss"]) for row in after]
    report.check("the loss falls", bool(losses) and losses[-1] < losses[0], [round(loss, 3) for loss in losses])
    accuracy = found.get("test/accuracy", 0.0)
    if setting.quick:
        report.skip("test accuracy", "the run is too short on a CPU")
    else:
        least = LEAST[is_real]
        report.check("test accuracy", accuracy >= least, f"{accuracy:.4f}; at least {least}")
    title = f"{'CIFAR-10, packed' if is_real else 'Drawn images'}: {epochs} epochs"
    report.head(title, ("what", "figure"))
    for key in ("device", "precision", "test/accuracy", "train/seconds", "train/images_per_second", "cost/device"):
        if key in found:
            report.row(title, f"`{key}`", found[key])


def run_folder(folder: Path) -> Path:
    return next(folder.glob("runs/*seed0*"), folder)


def rows(folder: Path) -> list[dict[str, str]]:
    try:
        with (run_folder(folder) / "metrics.csv").open(newline="") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError:
        return []
