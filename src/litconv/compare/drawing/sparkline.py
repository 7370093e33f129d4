"""A learning curve as small as a word: of a seed that broke, over those of its siblings."""

from litconv.compare.inference.broken import Broken


def sparkline(one: Broken, width: int = 260, height: int = 70) -> str:
    """The seed's learning curve over those of its siblings, as an SVG."""
    drawn = [*one.sibling_curves, one.curve]
    points = [point for line in drawn for point in line]
    if not points:
        return ""
    last, low, high = max(e for e, _ in points), min(v for _, v in points), max(v for _, v in points)

    def path(line: list[tuple[int, float]], kind: str) -> str:
        across, up = (width - 8) / max(last, 1), (height - 8) / (high - low or 1)
        at = (f"{4 + epoch * across:.1f},{height - 4 - (value - low) * up:.1f}" for epoch, value in line)
        return f'<polyline class="{kind}" points="{" ".join(at)}"/>'

    lines = [path(line, "sibling") for line in one.sibling_curves] + [path(one.curve, "odd")]
    return f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">{"".join(lines)}</svg>'
