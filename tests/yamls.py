"""The choices that conf/ offers: a test of every one of them finds it by its file."""

from pathlib import Path

CONF = Path(__file__).parents[1] / "conf"


def own_backbones() -> list[str]:
    """Those of litconv; what other libraries bring has tests of its own."""
    return [
        name for name in names("backbone") if "litconv.backbones." in (CONF / "backbone" / f"{name}.yaml").read_text()
    ]


def names(group: str) -> list[str]:
    found = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
    assert found, f"conf/{group} has no yaml"
    return found
