"""Sizes in pixels as options give them."""

from litconv.errors import ConfigError

Size = int | tuple[int, int]


def pair(value: Size, key: str) -> tuple[int, int]:
    """224 or (360, 480) → (height, width)."""
    sides = value if isinstance(value, list | tuple) else [value, value]
    if len(sides) != 2 or any(type(side) is not int or side < 1 for side in sides):
        raise ConfigError(f"data.{key}={value} must be one number of pixels or two, height and width, each at least 1")
    return sides[0], sides[1]


def show(size: tuple[int, int]) -> str:
    """(360, 480) → '360x480', height first."""
    return f"{size[0]}x{size[1]}"
