"""No head: the backbone is a whole network, and what it puts out are the logits."""

from torch import Tensor, nn


class Own(nn.Module):
    def forward(self, logits: Tensor, size: tuple[int, int]) -> Tensor:
        return logits
