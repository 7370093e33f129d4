"""A sweep's survey for other programs."""

import json
from dataclasses import asdict
from typing import Any

from litconv.cluster.status import remedy
from litconv.cluster.status.logs import last_line, log_of
from litconv.cluster.status.seen import STATES, Seen
from litconv.cluster.status.survey import Survey
from litconv.cluster.status.text import notes


def as_json(survey: Survey) -> str:
    return json.dumps(
        {
            "sweep": survey.sweep.name,
            "folder": str(survey.sweep),
            "exit_status": survey.exit_status,
            "counts": {status: survey.counts[status] for status in STATES},
            "notes": list(notes(survey)),
            "commands": remedy.commands(survey),
            "launches": [
                {key: value for key, value in asdict(launch).items() if key != "names"} for launch in survey.launches
            ],
            "points": [point(survey, seen) for seen in survey.points],
        },
        indent=1,
    )


def point(survey: Survey, seen: Seen) -> dict[str, Any]:
    """Its keys are those of points.jsonl, and what was seen."""
    facts = asdict(seen)
    log = log_of(survey, seen)
    return {
        **facts.pop("point"),
        **facts,
        "log": None if log is None else str(log),
        "last_line": "" if log is None else last_line(log),
    }
