"""What a model costs. The only package that imports fvcore."""

from litconv.cost.count import Count, count
from litconv.cost.layers import Layer
from litconv.cost.measure import Measured, measure
from litconv.cost.survey import counted, device, measured

__all__ = ["Count", "Layer", "Measured", "count", "counted", "device", "measure", "measured"]
