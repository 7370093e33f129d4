"""Training and testing with Lightning, and what it would let pass."""
