"""One run on disk: as it was asked for, its folder, its state, its summary, its checkpoints."""
