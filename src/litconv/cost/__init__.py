"""What an nn.Module costs, for a model of one's own too. Knows no configuration; the only package that imports fvcore."""

from litconv.cost.counter import Count, count
from litconv.cost.layers import Layer
from litconv.cost.measurement import Measured, measure

__all__ = ["Count", "Layer", "Measured", "count", "measure"]
