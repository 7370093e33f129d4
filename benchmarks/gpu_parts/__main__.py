"""One part in a process of its own: python -m gpu_parts operators cpu 60 DIR [IMAGES]. `benchmarks/gpu.py` starts it."""

import faulthandler
import os
import sys
import time
import traceback
from importlib import import_module
from pathlib import Path

from gpu_parts import PARTS
from gpu_parts.part import FAILED, NO_GPU, SKIPPED, Report, Setting, SkippedError, one_line


def main(name: str, device: str, seconds: str, folder: str, *images: str) -> int:
    results = Path(folder)
    setting = Setting(
        results / name, results, device, Path(images[0]) if images else None, time.monotonic() + float(seconds)
    )
    setting.folder.mkdir(parents=True, exist_ok=True)
    report = Report(results / f"{name}.json", name)
    faulthandler.enable()
    faulthandler.dump_traceback_later(float(seconds))  # into the log, before `gpu.py` ends what hangs
    if name == "triton" and setting.quick:
        os.environ["TRITON_INTERPRET"] = "1"  # read when Triton is imported
    import torch

    from litconv.config.quiet import quiet

    if device == "cuda" and not torch.cuda.is_available():
        report.status, report.reason = FAILED, NO_GPU
        report.write()
        return 1
    quiet()
    if setting.quick:
        torch.set_num_threads(1)
    try:
        report.facts |= import_module("gpu_parts.machine").identity(torch.device(device))
        report.write()
        import_module(f"gpu_parts.{PARTS[name].module}").run(setting, report)
    except SkippedError as error:
        report.status, report.reason = SKIPPED, str(error)
        report.write()
        return 0
    except Exception as error:
        traceback.print_exc()
        report.status, report.reason = FAILED, one_line(error)
        report.write()
        return 1
    report.end()
    return 0 if report.status != FAILED else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
