"""Probe data: made in memory, each kind isolates one property of an operator (docs/probes.md)."""

from litconv.data.probe.data_set import Probe

__all__ = ["Probe"]
