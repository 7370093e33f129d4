"""Colours of classes that have none of their own."""

import colorsys

import numpy as np


def colours(classes: int) -> np.ndarray:
    """(classes, 3): the first dark, as most sets' background; the others around the circle, in three tones."""
    tones = ((0.75, 0.95), (0.55, 0.7), (0.4, 1.0))
    bright = [colorsys.hsv_to_rgb((i * 0.618) % 1, *tones[i % 3]) for i in range(classes - 1)]
    return (np.array([(0.13, 0.15, 0.18), *bright]) * 255).round().astype(np.uint8)
