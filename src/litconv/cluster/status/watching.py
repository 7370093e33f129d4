"""A sweep shown again and again until all of it has ended."""

import sys
import time
from pathlib import Path

from litconv.cluster.status.screen import standard_output
from litconv.cluster.status.survey import Survey, survey
from litconv.cluster.status.text import headline, text

EVERY_SECONDS = 5.0
CLEAR = "\x1b[H\x1b[J"  # the terminal


def watch(sweep: Path) -> Survey:
    """Returns what was seen last; Ctrl-C leaves. Where it is no terminal, a line for each change, and all at the end."""
    looked = survey(sweep)
    said = ""
    try:
        while looked.is_under_way:
            if sys.stdout.isatty():
                print(f"{CLEAR}{text(looked, standard_output())}", flush=True)
            elif headline(looked) != said:
                said = headline(looked)
                print(said, flush=True)
            time.sleep(EVERY_SECONDS)
            looked = survey(sweep)
    except KeyboardInterrupt:
        return looked
    print(f"{CLEAR if sys.stdout.isatty() else ''}{text(looked, standard_output())}", flush=True)
    return looked
