"""A sweep on one machine: every job a process of its own, nothing lost, nothing trained twice."""
