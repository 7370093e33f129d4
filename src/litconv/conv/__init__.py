"""The operators. One file, one class each; `slot` holds the contract that they share.

A new operator needs no line here: its yaml names its module (`_target_: litconv.conv.<module>.<Class>`).
"""

from litconv.conv.bottleneck import Bottleneck
from litconv.conv.deformable import Deformable
from litconv.conv.depthwise import Depthwise
from litconv.conv.depthwise_separable import DepthwiseSeparable
from litconv.conv.dilated import Dilated
from litconv.conv.grouped import Grouped
from litconv.conv.pointwise import Pointwise
from litconv.conv.same import SameConv2d
from litconv.conv.separable import Separable
from litconv.conv.slot import ConvFactory, Formula
from litconv.conv.standard import Standard

__all__ = [
    "Bottleneck",
    "ConvFactory",
    "Deformable",
    "Depthwise",
    "DepthwiseSeparable",
    "Dilated",
    "Formula",
    "Grouped",
    "Pointwise",
    "SameConv2d",
    "Separable",
    "Standard",
]
