"""The terminal on which a sweep is shown, or a file or a pipe, which has no size."""

import shlex
import shutil
import sys
import textwrap
from dataclasses import dataclass

MOST_LINES = 3  # of a log's last line


@dataclass(frozen=True)
class Screen:
    """Where it is shown; without a size nothing is cut."""

    width: int | None = None
    height: int | None = None

    def cut(self, line: str) -> str:
        return line if self.width is None or len(line) <= self.width else f"{line[: self.width - 1]}…"

    def wrapped(self, line: str) -> str:
        if self.width is None:
            return line
        return textwrap.fill(line, self.width, subsequent_indent="  ", break_on_hyphens=False)

    def indented(self, line: str) -> list[str]:
        if self.width is None:
            return [f"    {line}"]
        return [f"    {part}" for part in textwrap.wrap(line, self.width - 4, max_lines=MOST_LINES, placeholder=" …")]

    def command(self, line: str) -> str:
        """As a shell takes it, on several lines where it is too long for one."""
        if self.width is None or len(line) + 2 <= self.width:
            return f"  {line}"
        words = [shlex.quote(word) for word in shlex.split(line)]
        lines = [" "]
        for word in words:
            if len(lines[-1]) + len(word) + 3 > self.width and lines[-1].strip():
                lines.append("   ")
            lines[-1] += f" {word}"
        return " \\\n".join(lines)


def standard_output() -> Screen:
    return Screen(*shutil.get_terminal_size()) if sys.stdout.isatty() else Screen()
