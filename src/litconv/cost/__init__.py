"""What a model costs. The only package that imports fvcore."""

from litconv.cost.count import Count, count
from litconv.cost.layers import Layer

__all__ = ["Count", "Layer", "count"]
