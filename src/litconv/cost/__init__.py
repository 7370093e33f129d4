"""What a model costs. The only package that imports fvcore."""

from litconv.cost.count import Count, count

__all__ = ["Count", "count"]
