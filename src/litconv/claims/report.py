"""What is written of judged claims: index.html, claims.md with its figures, claims.json."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader
from markupsafe import Markup

from litconv.claims.forest import STYLE, forest
from litconv.claims.judgement import Judged, counts, total
from litconv.files import finite, write_whole

PARTS = files("litconv.claims") / "page"
SORTS = {"computed": "computed, measured", "made": "made data", "real": "real data"}
CODE = {"supported": "✔", "refuted": "✘", "cannot tell": "?", "not run": "–"}
Pairs = list[tuple[str, str]]


def write_report(judged: Sequence[Judged], out: Path, facts: Pairs, in_common: Pairs, command: str) -> None:
    """Figures of an earlier report go; what the user has put beside it stays."""
    shutil.rmtree(out / "figures", ignore_errors=True)
    (out / "figures").mkdir(parents=True)
    figures = {}
    for one in judged:
        for number, finding in enumerate(one.findings, 1):
            if drawn := forest(finding, alone=True):
                figures[id(finding)] = f"figures/{one.claim.name}_{number}_{finding.ground}.svg"
                write_whole(out / figures[id(finding)], drawn.encode())
    loader = FunctionLoader(lambda name: (PARTS / name).read_text())
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    plain = Environment(loader=loader, autoescape=False, trim_blocks=True, lstrip_blocks=True)
    known: dict[str, Any] = {
        "judged": judged,
        "total": total(judged),
        "facts": facts,
        "in_common": in_common,
        "command": command,
        "sorts": SORTS,
        "counts": counts,
        "code": CODE,
    }
    styles = (files("litconv.compare") / "page" / "base.css", PARTS / "claims.css")
    style = "\n".join([STYLE, *(part.read_text() for part in styles)])
    html = environment.get_template("claims.html").render(
        **known, forest=lambda finding: Markup(forest(finding)), style=Markup(style)
    )
    write_whole(out / "index.html", html.encode())
    markdown = plain.get_template("claims.md").render(
        **known, figure=lambda finding: figures.get(id(finding)), cell=cell
    )
    write_whole(out / "claims.md", markdown.encode())
    write_whole(out / "claims.json", json.dumps(records(judged), indent=1, ensure_ascii=False).encode())


def cell(text: str) -> str:
    """Of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")


def records(judged: Sequence[Judged]) -> list[dict[str, Any]]:
    return [
        {
            "claim": one.claim.name,
            "sentence": one.claim.sentence,
            "source": one.claim.source,
            "verdict": one.word,
            "findings": [finite(asdict(finding)) for finding in one.findings],
        }
        for one in judged
    ]
