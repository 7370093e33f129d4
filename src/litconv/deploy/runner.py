"""Measures the networks of a pack on this machine: python arms.zip

It needs Python 3.8 or later, numpy and onnxruntime, and nothing else; litconv puts it into the pack as __main__.py. Each network
runs in turns with the same network of standard convolutions, so that what slows one of them slows the other as well.
The figures are written into a CSV, which litconv reads back.
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

FORMAT = 1  # of packs
COLUMNS = (
    *("pack", "device", "onnxruntime", "threads", "arm", "run", "arm_hash", "precision", "batch"),
    *("latency_ms", "p10_ms", "p90_ms", "ratio", "rounds", "difference", "error"),
)
MIN_ROUNDS, MAX_ROUNDS, WARM_UP = 5, 200, 3
TOLERANCE = 1e-3  # of the largest logit: what rounding may come to in float32


class Refused(Exception):
    """One line for whoever measures."""


class Pack:
    """The files of a pack, in its zip or unpacked."""

    def __init__(self, place):
        self.place = place
        try:
            self.zip = None if os.path.isdir(place) else zipfile.ZipFile(place)
            self.manifest = json.loads(self.read("manifest.json").decode("utf-8"))
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise Refused("%s is no pack, or damaged (%s); copy it anew" % (place, error))
        if self.manifest.get("format") != FORMAT:
            found = self.manifest.get("format")
            raise Refused("%s is a pack of format %s, and this runner reads %s; make it anew" % (place, found, FORMAT))

    def read(self, name):
        if self.zip is not None:
            return self.zip.read(name)
        with open(os.path.join(self.place, name), "rb") as file:
            return file.read()

    def model(self, file):
        """The bytes of an ONNX file, which are those that were packed."""
        try:
            content = self.read(file["file"])
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise Refused("%s: %s is missing or damaged (%s); copy it anew" % (self.place, file["file"], error))
        if hashlib.sha256(content).hexdigest() != file["sha256"]:
            raise Refused("%s: %s is not the file that was packed; copy it anew" % (self.place, file["file"]))
        return content


def example(numpy, shape):
    """The same numbers on every machine: float32, about as spread as normalised images are."""
    count = 1
    for side in shape:
        count *= side
    drawn = (numpy.arange(1, count + 1, dtype=numpy.uint64) * numpy.uint64(2654435761)) % numpy.uint64(2**32)
    return ((drawn.astype(numpy.float64) / 2**32 - 0.5) * 12**0.5).astype(numpy.float32).reshape(shape)


class Network:
    """One ONNX file, ready to run."""

    def __init__(self, pack, entry, precision, threads, library):
        options = library.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        content = pack.model(entry["files"][precision])
        self.session = library.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self.name = self.session.get_inputs()[0].name

    def __call__(self, images):
        return self.session.run(None, {self.name: images})[0]


def milliseconds(network, images):
    begin = time.perf_counter()
    network(images)
    return 1e3 * (time.perf_counter() - begin)


def in_turns(numpy, network, reference, images, seconds):
    """Rounds of network, reference, reference, network, until `seconds` are spent."""
    for one in (network, reference):
        for _ in range(WARM_UP):
            milliseconds(one, images)
    own, ratios, spent = [], [], 0.0
    while len(ratios) < MIN_ROUNDS or (spent < 1e3 * seconds and len(ratios) < MAX_ROUNDS):
        first = milliseconds(network, images)
        others = milliseconds(reference, images) + milliseconds(reference, images)
        last = milliseconds(network, images)
        own += [first, last]
        ratios.append((first + last) / others)
        spent += first + others + last
    p10, median, p90 = numpy.quantile(own, [0.1, 0.5, 0.9])
    return {
        "latency_ms": "%.5g" % median,
        "p10_ms": "%.5g" % p10,
        "p90_ms": "%.5g" % p90,
        "ratio": "%.4g" % (1.0 if network is reference else numpy.median(ratios)),
        "rounds": len(ratios),
    }


def difference(numpy, network, entry):
    """The largest, of the logits of one image, to those that PyTorch computed where the pack was made."""
    said = network(example(numpy, [1] + entry["image"])).reshape(-1)[: len(entry["expected"])]
    return float(numpy.abs(said - numpy.array(entry["expected"], dtype=numpy.float32)).max())


def plan(pack, batches):
    """(row, entry, its reference) of everything that is to be measured, the figures still empty."""
    rows = []
    for entry in pack.manifest["arms"]:
        if not entry["measured"]:
            continue
        for precision in sorted(entry["files"]):
            for batch in batches:
                row = dict.fromkeys(COLUMNS, "")
                row.update(arm=entry["arm"], run=entry["run"], arm_hash=entry["arm_hash"])
                row.update(pack=pack.manifest["pack"], precision=precision, batch=batch)
                rows.append((row, entry, pack.manifest["arms"][entry["reference"]]))
    return rows


def measure(pack, numpy, library, given):
    """Fills the rows one after the other and writes the CSV after each, so that a stop costs no more than the rest."""
    batches = sorted({1, given.batch or pack.manifest["batch"]})
    planned = plan(pack, batches)
    about = {"device": given.device, "onnxruntime": library.__version__, "threads": given.threads}
    for row, _, _ in planned:
        row.update(about)
    loaded = {}
    for number, (row, entry, reference) in enumerate(planned, 1):
        precision, batch = row["precision"], row["batch"]
        wanted = [(id(one), precision) for one in (entry, reference)]
        loaded = {key: network for key, network in loaded.items() if key in wanted}
        try:
            for key, one in ((wanted[0], entry), (wanted[1], reference)):
                if key not in loaded:
                    loaded[key] = Network(pack, one, precision, given.threads, library)
            network = loaded[wanted[0]]
            away = difference(numpy, network, entry)
            row["difference"] = "%.3g" % away
            most = max([1.0] + [abs(value) for value in entry["expected"]])
            if precision == "float32" and not away <= TOLERANCE * most:
                raise ValueError("its logits differ from PyTorch's by %.3g" % away)
            images = example(numpy, [batch] + entry["image"])
            row.update(in_turns(numpy, network, loaded[wanted[1]], images, given.seconds))
            said = "%s ms, %s of standard" % (row["latency_ms"], row["ratio"])
        except (Refused, KeyboardInterrupt):
            raise
        except Exception as error:  # whatever ONNX Runtime raises for what it cannot run
            row["error"] = " ".join(str(error).split())[:200] or type(error).__name__
            said = "not measured: %s" % row["error"]
        print("%3d/%d  %s  %s, batch %d: %s" % (number, len(planned), entry["arm"], precision, batch, said), flush=True)
        write(given.out, [row for row, _, _ in planned])
    return [row for row, _, _ in planned]


def write(path, rows):
    """Whole or not at all."""
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    with open(path + ".part", "w", encoding="utf-8", newline="") as file:
        file.write(text.getvalue())
    os.replace(path + ".part", path)


def machine():
    """The processor's name."""
    try:
        with open("/proc/device-tree/model", encoding="utf-8") as file:  # of boards
            return file.read().strip("\0 \n")
    except OSError:
        pass
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            found = re.search(r"^(?:model name|Model|Hardware)\s*:\s*(.+)$", file.read(), flags=re.MULTILINE)
    except OSError:
        found = None
    return found.group(1).strip() if found else platform.processor() or platform.machine()


def cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def arguments(given):
    parser = argparse.ArgumentParser(prog="python arms.zip", description="Measures the networks of this pack.")
    parser.add_argument("--out", default="device.csv", help="the CSV; its name is the device's in the comparison: rpi5.csv")
    parser.add_argument("--device", default=machine(), help="what this machine is called in the CSV (%(default)s)")
    parser.add_argument("--threads", type=int, default=cores(), help="that compute (%(default)s)")
    parser.add_argument("--batch", type=int, default=0, help="images besides one alone (as packed)")
    parser.add_argument("--seconds", type=float, default=1.0, help="of rounds, for each figure (%(default)s)")
    parsed = parser.parse_args(given)
    for name in ("threads", "seconds"):
        if not getattr(parsed, name) > 0:
            raise Refused("--%s must be greater than 0" % name)
    if parsed.batch < 0 or not parsed.out.endswith(".csv"):
        raise Refused("--batch must be at least 1" if parsed.batch < 0 else "--out must end in .csv")
    return parsed


def main(given, place):
    try:
        parsed = arguments(given)
        try:
            import numpy
            import onnxruntime
        except ImportError as error:
            raise Refused("%s; pip install numpy onnxruntime" % error)
        pack = Pack(place)
        print("%s, %d threads, onnxruntime %s" % (parsed.device, parsed.threads, onnxruntime.__version__), flush=True)
        rows = measure(pack, numpy, onnxruntime, parsed)
    except Refused as error:
        print("error: %s" % error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; what was measured stands in the CSV", file=sys.stderr)
        return 130
    failed = [row for row in rows if row["error"]]
    print(parsed.out + (", without %d of %d rows, which could not be measured" % (len(failed), len(rows)) if failed else ""))
    return 1 if len(failed) == len(rows) else 0


if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))  # of a zip that is run, the zip itself
    sys.exit(main(sys.argv[1:], here))
