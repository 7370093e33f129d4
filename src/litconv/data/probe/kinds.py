"""The kinds of probe by their names on the command line, `data.kind=`."""

from litconv.data.probe.context import Context
from litconv.data.probe.cross_channel import CrossChannel
from litconv.data.probe.geometry import Geometry
from litconv.data.probe.kind import Kind
from litconv.data.probe.oriented import Inseparable, Separable
from litconv.data.probe.texture import Texture

KINDS: dict[str, type[Kind]] = {
    "context": Context,
    "cross_channel": CrossChannel,
    "geometry": Geometry,
    "texture": Texture,
    "separable": Separable,
    "inseparable": Inseparable,
}
