"""Sweeps on several machines: their points in tasks, each of which is a launch of the local launcher on its node."""
