"""Everything that needs a GPU, tried in one command: python benchmarks/gpu.py --out DIR

Each part has a process and a time limit of its own. What it finds is written to DIR/<part>.json as it finds it, what it
prints to DIR/<part>.log; a part that fails or takes too long does not stop the others. After each part a table says what
passed so far (DIR/report.md), and DIR/gpu.tar.gz has all of these in one file to bring back; in the end the exit status is 1
where something failed. `--cpu` runs the same code, tiny, where there is no GPU.
`--images` is CIFAR-10 in one file, which benchmarks/gpu_bundle.py makes; without it parts train on images that are drawn.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

from gpu_parts import PARTS
from gpu_parts.part import FAILED, NO_GPU, PASSED, SKIPPED

HERE = Path(__file__).resolve().parent

Found = dict[str, Any]
EMPTY: Found = {"status": "unfinished", "reason": "", "facts": {}, "checks": [], "tables": {}}


def run_part(name: str, device: str, seconds: float, out: Path, images: Path | None) -> Found:
    """What its report says, with `seconds` and, where it did not come to its end, why."""
    report = out / f"{name}.json"
    if report.exists():  # an earlier start of this script: what it trained would be taken up again
        shutil.rmtree(out / name, ignore_errors=True)
    report.write_text(json.dumps(EMPTY), encoding="utf-8")
    roots = [str(HERE), str(HERE.parent / "src"), os.environ.get("PYTHONPATH")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, roots)), "PYTHONUNBUFFERED": "1"}
    arguments = [name, device, f"{0.95 * seconds:.1f}", str(out), *([str(images)] if images else [])]
    began, reason = time.monotonic(), ""
    with (out / f"{name}.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gpu_parts", *arguments],
            env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            reason = f"not done after {seconds:.0f} s"
            if checks := read(report)["checks"]:
                reason += f"; the last that it found: {checks[-1]['name']}"
        finally:
            end_group(process)
    found = read(report)
    found["seconds"] = time.monotonic() - began
    if not reason and found["status"] == "unfinished":
        reason = f"ended with exit status {code}: {last_line(out / f'{name}.log')}"
    if reason:
        found |= {"status": FAILED, "reason": reason}
    report.write_text(json.dumps(found, indent=1, ensure_ascii=False), encoding="utf-8")
    return found


def end_group(process: subprocess.Popen) -> None:
    """With all that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        process.wait()


def read(report: Path) -> Found:
    try:
        return EMPTY | json.loads(report.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return dict(EMPTY)


def last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "nothing was printed"


def markdown(found: dict[str, Found], command: str) -> str:
    facts = next((one["facts"] for one in found.values() if "versions" in one["facts"]), {})
    versions = ", ".join(f"{name} {version}" for name, version in facts.get("versions", {}).items())
    lines = [f"{facts.get('device', 'unknown device')}; {versions}; `{command}`", ""]
    lines += ["| part | result | passed | failed | skipped | seconds |", "| --- | --- | ---: | ---: | ---: | ---: |"]
    for name, one in found.items():
        counts = [sum(check["status"] == status for check in one["checks"]) for status in (PASSED, FAILED, SKIPPED)]
        result = one["status"] + (f": {one['reason']}" if one["reason"] else "")
        lines.append(f"| {PARTS[name].title} | {result} | {' | '.join(map(str, counts))} | {one['seconds']:.0f} |")
    for status in (FAILED, SKIPPED):
        told = [(name, c) for name, one in found.items() for c in one["checks"] if c["status"] == status]
        lines += ["", f"{status.capitalize()}:", ""] if told else []
        lines += [f"- {name}: {check['name']}: {check['found']}" for name, check in told]
    for one in found.values():
        for title, (head, *rows) in one["tables"].items():
            lines += ["", f"## {title}", "", f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
            lines += [f"| {' | '.join(map(str, row))} |" for row in rows]
    return "\n".join(lines) + "\n"


def keep(text: str, out: Path) -> None:
    """report.md, and one file of everything that was found so far, whole at any time."""
    (out / "report.md").write_text(text, encoding="utf-8")
    unfinished = out / "gpu.tar.gz.unfinished"
    with tarfile.open(unfinished, "w:gz") as packed:
        for path in sorted(path for path in out.iterdir() if path.suffix in (".json", ".log", ".md")):
            packed.add(path, path.name)
    unfinished.replace(out / "gpu.tar.gz")


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as Ctrl-C does: the part that runs is ended, too
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="a folder for reports, logs and what is trained")
    parser.add_argument("--cpu", action="store_true", help="the same code, tiny, on a CPU")
    parser.add_argument("--parts", default=",".join(PARTS), help="some of %(default)s")
    parser.add_argument(
        "--minutes",
        type=float,
        default=10,
        help="for all; on a GPU each part has its share",
    )
    parser.add_argument("--images", type=Path, help="CIFAR-10 in one file")
    given = parser.parse_args()
    names = given.parts.split(",")
    if unknown := set(names) - set(PARTS):
        parser.error(f"--parts {min(unknown)} is unknown; choose from {','.join(PARTS)}")
    if given.images and not given.images.is_file():
        parser.error(f"--images {given.images}: there is no such file")
    given.out.mkdir(parents=True, exist_ok=True)
    out, images = given.out.resolve(), given.images and given.images.resolve()
    ends, found = time.monotonic() + 60 * given.minutes, {}
    shown = "python benchmarks/gpu.py" + " --cpu" * given.cpu
    for index, name in enumerate(names):
        share = 1 if given.cpu else PARTS[name].seconds / sum(PARTS[other].seconds for other in names[index:])
        seconds = max(5.0, share * (ends - time.monotonic()))
        found[name] = one = run_part(name, "cpu" if given.cpu else "cuda", seconds, out, images)
        print(f"{name}: {one['status']} {one['reason']} ({one['seconds']:.0f} s)", flush=True)
        if one["reason"] == NO_GPU:
            return 1
        keep(text := markdown(found, shown), out)
    print(f"\n{text}\n{out / 'report.md'}")
    return 1 if FAILED in [one["status"] for one in found.values()] else 0


if __name__ == "__main__":
    sys.exit(main())
