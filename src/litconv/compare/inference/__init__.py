"""Whether a gap between two arms is more than chance, what may be assumed, and what more seeds would bring."""
