"""What a model costs. The only package that imports fvcore."""

from litconv.cost.count import Count, count
from litconv.cost.layers import Layer
from litconv.cost.layout import Layout, settled
from litconv.cost.measure import Measured, measure
from litconv.cost.survey import counted, counted_once, device, measured

__all__ = [
    "Count",
    "Layer",
    "Layout",
    "Measured",
    "count",
    "counted",
    "counted_once",
    "device",
    "measure",
    "measured",
    "settled",
]
