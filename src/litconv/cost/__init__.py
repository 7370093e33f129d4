"""What a model costs. The only package that imports fvcore."""

from litconv.cost.count import Count, UncountedOperations, count

__all__ = ["Count", "UncountedOperations", "count"]
