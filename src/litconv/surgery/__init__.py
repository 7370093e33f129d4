"""Surgery: the convolutions of any `nn.Module` become an operator. Knows no configuration.

>>> print(litconv.swap(model, conv="grouped", groups=4))

docs/swap.md is its page.
"""

from litconv.surgery.report import Report, Row
from litconv.surgery.swapping import swap
from litconv.surgery.where import Where

__all__ = ["Report", "Row", "Where", "swap"]
