"""How a sweep is doing, whatever launches it: what its folder, its runs' locks and Slurm say. `scripts/sweep.py` shows it."""
