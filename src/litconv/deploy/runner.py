"""Measures the networks of a pack on this machine: python arms.zip

It needs Python 3.8 or later, numpy and onnxruntime, and nothing else; litconv puts it into the pack as __main__.py. Each network
runs in turns with the same network of standard convolutions, so that what slows one of them slows the other as well.
The figures are written into a CSV, which litconv reads back (device=rpi5.csv).
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import os
import platform
import re
import sys
import time
import zipfile
import zlib
from pathlib import Path
from typing import Any

VERSION = 1  # of packs and of this table
COLUMNS = (
    *("arm", "run", "network", "precision", "batch"),
    *("latency_ms", "latency_p10_ms", "latency_p90_ms", "latency_ratio", "rounds", "difference"),
    *("threads", "device", "onnxruntime", "pack", "version"),
)
MIN_ROUNDS, MAX_ROUNDS, WARM_UP = 5, 200, 3
TOLERANCE = 1e-3  # of the largest logit: what rounding may come to in float32
UNUSABLE = (
    OSError,
    EOFError,
    KeyError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)  # of a zip, whatever is wrong with it


class PackError(Exception):
    """One line for whoever measures."""


class Pack:
    """The files of a pack, in its zip or unpacked."""

    def __init__(self, place: Path) -> None:
        self.place = place
        try:
            self.zip = None if place.is_dir() else zipfile.ZipFile(place)
            self.manifest = json.loads(self.read("manifest.json").decode("utf-8"))
            found = self.manifest["version"]
        except (*UNUSABLE, TypeError) as error:
            raise PackError(f"{place} is no pack, or damaged ({said(error)}); copy it anew") from None
        if found != VERSION:
            raise PackError(f"{place} is a pack of version {found}, and its runner reads {VERSION}; make it anew")

    def read(self, name: str) -> bytes:
        return (self.place / name).read_bytes() if self.zip is None else self.zip.read(name)

    def model(self, file: dict[str, Any]) -> bytes:
        """An ONNX file, which is the one that was packed."""
        name = file["file"]
        try:
            content = self.read(name)
        except UNUSABLE as error:
            raise PackError(f"{self.place}: {name} is missing or damaged ({said(error)}); copy it anew") from None
        if hashlib.sha256(content).hexdigest() != file["sha256"]:
            raise PackError(f"{self.place}: {name} is not the file that was packed; copy it anew")
        return content


def said(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def example(numpy: Any, shape: list[int]) -> Any:
    """The same numbers on every machine: float32, about as spread as normalised images are."""
    count = 1
    for side in shape:
        count *= side
    drawn = (numpy.arange(1, count + 1, dtype=numpy.uint64) * numpy.uint64(2654435761)) % numpy.uint64(2**32)
    return ((drawn.astype(numpy.float64) / 2**32 - 0.5) * 12**0.5).astype(numpy.float32).reshape(shape)


class Network:
    """One ONNX file, ready to run batches of so many images."""

    def __init__(self, content: bytes, batch: int, threads: int, onnxruntime: Any) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Threads that wait for the next call by spinning would take the core of what runs in turns with this.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        options.add_free_dimension_override_by_name("batch", batch)
        self.session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name

    def __call__(self, images: Any) -> Any:
        return self.session.run(None, {self.input: images})[0]


def milliseconds(network: Network, images: Any) -> float:
    begin = time.perf_counter()
    network(images)
    return 1e3 * (time.perf_counter() - begin)


def in_turns(numpy: Any, network: Network, reference: Network, images: Any, seconds: float) -> dict[str, Any]:
    """Rounds of network, reference, reference, network, until `seconds` are spent."""
    for one in (network, reference):
        for _ in range(WARM_UP):
            milliseconds(one, images)
    own: list[float] = []
    ratios: list[float] = []
    spent = 0.0
    while len(ratios) < MIN_ROUNDS or (spent < 1e3 * seconds and len(ratios) < MAX_ROUNDS):
        first = milliseconds(network, images)
        others = milliseconds(reference, images) + milliseconds(reference, images)
        last = milliseconds(network, images)
        own += [first, last]
        ratios.append((first + last) / others)
        spent += first + others + last
    p10, median, p90 = numpy.quantile(own, [0.1, 0.5, 0.9])
    return {
        "latency_ms": f"{median:.5g}",
        "latency_p10_ms": f"{p10:.5g}",
        "latency_p90_ms": f"{p90:.5g}",
        "latency_ratio": f"{1.0 if network is reference else numpy.median(ratios):.4g}",
        "rounds": len(ratios),
    }


def away(numpy: Any, network: Network, entry: dict[str, Any], batch: int) -> float:
    """How far, at most, the logits of one image are from those that PyTorch computed where the pack was made."""
    image = example(numpy, [1, *entry["image"]])
    logits = network(image.repeat(batch, 0))[0].reshape(-1)[: len(entry["expected"])]
    return float(numpy.abs(logits - numpy.array(entry["expected"], dtype=numpy.float32)).max())


def forms() -> dict[str, str]:
    """Which file is of each precision here: ARM multiplies int8 by int8, x86 uint8 by int8."""
    on_arm = platform.machine().lower().startswith(("arm", "aarch"))
    return {"float32": "float32", "int8": "int8_arm" if on_arm else "int8_x86"}


def planned(pack: Pack, batches: list[int]) -> list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """(row, entry, its reference) of everything that is to be measured; the figures are still empty."""
    rows = []
    entries = pack.manifest["arms"]
    for entry in entries:
        for precision, form in forms().items() if entry["measured"] else ():
            for batch in batches if form in entry["files"] else ():
                row = dict.fromkeys(COLUMNS, "")
                row.update({key: entry[key] for key in ("arm", "run", "network")})
                row.update({"precision": precision, "batch": batch, "pack": pack.manifest["pack"], "version": VERSION})
                rows.append((row, entry, entries[entry["reference"]]))
    return rows


def measured(pack: Pack, numpy: Any, onnxruntime: Any, given: argparse.Namespace) -> list[dict[str, Any]]:
    """The rows, also those without a figure, which the CSV leaves out. It is written after each, so that a stop costs the rest
    alone."""
    plan = planned(pack, sorted({1, given.batch or pack.manifest["batch"]}))
    rows = [row for row, _, _ in plan]
    for row in rows:
        row.update({"device": given.device, "onnxruntime": onnxruntime.__version__, "threads": given.threads})
    for number, (row, entry, reference) in enumerate(plan, 1):
        precision, batch = row["precision"], row["batch"]
        files = [one["files"][forms()[precision]] for one in (entry, reference)]
        contents = [pack.model(file) for file in files]
        try:
            network = Network(contents[0], batch, given.threads, onnxruntime)
            standard = network if entry is reference else Network(contents[1], batch, given.threads, onnxruntime)
            difference = away(numpy, network, entry, batch)
            row["difference"] = f"{difference:.3g}"
            largest = max(1.0, *map(abs, entry["expected"]))
            if precision == "float32" and not difference <= TOLERANCE * largest:
                raise ValueError(f"its logits are up to {difference:.3g} away from PyTorch's")
            images = example(numpy, [batch, *entry["image"]])
            row.update(in_turns(numpy, network, standard, images, given.seconds))
            found = f"{row['latency_ms']} ms, {row['latency_ratio']} of standard"
        except Exception as error:  # whatever ONNX Runtime raises for what it cannot run
            found = f"not measured: {said(error)}"
        print(f"{number:3}/{len(plan)}  {entry['arm']}  {precision}, batch {batch}: {found}", flush=True)
        write(Path(given.out), [one for one in rows if one["latency_ms"]])
    return rows


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Whole or not at all."""
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(text.getvalue().encode("utf-8"))
    part.replace(path)


def machine() -> str:
    """The name of the board or of the processor."""
    for path, name in (
        ("/proc/device-tree/model", r"^(.+?)\0*$"),
        ("/proc/cpuinfo", r"^(?:model name|Model)\s*:\s*(.+)$"),
    ):
        try:
            found = re.search(name, Path(path).read_text(encoding="utf-8"), flags=re.MULTILINE)
        except OSError:
            continue
        if found:
            return found.group(1).strip()
    return platform.processor() or platform.machine()


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def arguments(given: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python arms.zip", description="Measures the networks of this pack.")
    parser.add_argument("--out", default="device.csv", help="the CSV; its name stands for this machine, as rpi5.csv")
    parser.add_argument("--device", default=machine(), help="what this machine is called in the CSV (%(default)s)")
    parser.add_argument("--threads", type=int, default=cores(), help="that compute (%(default)s)")
    parser.add_argument("--batch", type=int, help="images, besides one alone (as packed)")
    parser.add_argument("--seconds", type=float, default=1.0, help="of rounds, for each figure (%(default)s)")
    parsed = parser.parse_args(given)
    if parsed.threads < 1 or not parsed.seconds > 0 or (parsed.batch is not None and parsed.batch < 1):
        raise PackError("--threads, --seconds and --batch must be greater than 0")
    if not parsed.out.endswith(".csv"):
        raise PackError(f"--out {parsed.out} must end in .csv")
    if not Path(parsed.out).resolve().parent.is_dir():
        raise PackError(f"--out {parsed.out} lies in a folder that is not there")
    return parsed


def main(given: list[str], place: Path) -> int:
    try:
        parsed = arguments(given)
        try:
            import numpy
            import onnxruntime
        except ImportError as error:
            raise PackError(f"{said(error)}; pip install numpy onnxruntime") from None
        pack = Pack(place)
        print(
            f"{parsed.device}, {parsed.threads} thread{'s' * (parsed.threads > 1)}, onnxruntime {onnxruntime.__version__}",
            flush=True,
        )
        rows = measured(pack, numpy, onnxruntime, parsed)
    except PackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; what was measured before stands in the CSV", file=sys.stderr)
        return 130
    failed = sum(not row["latency_ms"] for row in rows)
    print(f"{parsed.out}, without {failed} of {len(rows)} figures" if failed else parsed.out)
    return 1 if failed == len(rows) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path(__file__).resolve().parent))  # of a zip that is run, the zip itself
