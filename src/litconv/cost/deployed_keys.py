"""The one table of what a network costs where it is deployed. No torch: comparisons read it, too.

A figure's key is `deploy/<runtime>/<precision>/<figure>`, such as `deploy/onnxruntime/int8/latency_ms`. A device of
`device=rpi5.csv` stands in the runtime's place: `deploy/rpi5/int8/latency_ms`. A figure that is not in the table is the
task's own metric on the test split: `deploy/onnxruntime/int8/accuracy`.
"""

import re
from typing import NamedTuple

from litconv.cost.keys import CostKey

RUNTIMES = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}
PRECISIONS = ("float32", "int8")
# The packages that make a runtime's files and run them; ONNX Runtime's tools quantise for both.
NEEDS = {name: tuple(dict.fromkeys(("onnx", "onnxscript", "onnxruntime", name))) for name in RUNTIMES}
FEWEST_CALIBRATION_IMAGES = 16  # of int8: ranges by fewer are those of a few pictures
# Each `key` is a key's last part. "batch" is that of the latency, as deployed.json says.
DEPLOYED_FIGURES = (
    CostKey("latency_ms", "latency", "ms", compared="figures"),
    CostKey("latency_p10_ms", "latency, 10th percentile", "ms"),
    CostKey("latency_p90_ms", "latency, 90th percentile", "ms"),
    CostKey("latency_ratio", "latency ÷ standard", "×", compared="figures"),
    CostKey("latency_single_ms", "latency at batch 1", "ms", compared="figures"),
    CostKey("latency_single_p10_ms", "latency at batch 1, 10th percentile", "ms"),
    CostKey("latency_single_p90_ms", "latency at batch 1, 90th percentile", "ms"),
    CostKey("latency_single_ratio", "latency at batch 1 ÷ standard", "×", compared="figures"),
    CostKey("file_mb", "file size", "MB", compared="figures"),
    CostKey("peak_memory_mb", "peak memory", "MB", compared="figures"),
)
BY_NAME = {figure.key: figure for figure in DEPLOYED_FIGURES}
KEY = re.compile(r"deploy/([^/]+)/([^/]+)/([^/]+)")


class Place(NamedTuple):
    """Where a network runs."""

    runtime: str  # of RUNTIMES, or the name of a device
    precision: str

    @property
    def label(self) -> str:
        return f"{RUNTIMES.get(self.runtime, self.runtime)} {self.precision}"

    def key(self, figure: str) -> str:
        """`figure`: of DEPLOYED_FIGURES, or the name of a metric such as `accuracy`."""
        return f"deploy/{self.runtime}/{self.precision}/{figure}"


def place_of(key: str) -> Place | None:
    """None of a key that is no deployed figure's."""
    found = KEY.fullmatch(key)
    return Place(found[1], found[2]) if found else None


def deployed_cost(key: str) -> CostKey | None:
    """Its row of the table of costs, as `COST_KEYS` has it; None of any other key and of a metric's."""
    place, figure = place_of(key), BY_NAME.get(key.rpartition("/")[2])
    return figure._replace(key=key, heading=f"{place.label} {figure.heading}") if place and figure else None


def deployed_metric(key: str) -> str | None:
    """`accuracy` of deploy/onnxruntime/int8/accuracy; None of any other key and of a cost's."""
    return key.rpartition("/")[2] if place_of(key) and deployed_cost(key) is None else None
