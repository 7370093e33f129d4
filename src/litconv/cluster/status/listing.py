"""All sweeps of an output_dir, a line each."""

import json
from pathlib import Path

from litconv.cluster.status.seen import STATES
from litconv.cluster.status.survey import survey
from litconv.cluster.status.text import headline
from litconv.sweep.folders import sweeps_in


def listed(root: Path, for_programs: bool) -> str:
    looked = [survey(root / "sweeps" / name) for name in sweeps_in(root)]
    if for_programs:
        return json.dumps(
            {one.sweep.name: {status: one.counts[status] for status in STATES} for one in looked}, indent=1
        )
    if not looked:
        return f"no sweeps in {root / 'sweeps'}"
    width = max(len(one.sweep.name) for one in looked)
    return "\n".join(f"{one.sweep.name:<{width}}  {headline(one)}" for one in looked)
