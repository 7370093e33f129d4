"""Two xdist workers share two cores: one thread each is faster than fighting for them."""

import torch

torch.set_num_threads(1)
