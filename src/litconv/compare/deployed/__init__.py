"""Where the networks will run: what they cost there, in which order, and what int8 does to their accuracy."""
