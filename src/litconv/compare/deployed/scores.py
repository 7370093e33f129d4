"""The task's metric where the networks run: the accuracy of the int8 network, not that of the one it was made of."""

from collections.abc import Collection

from litconv.compare.arms import Arm
from litconv.compare.metric import Metric
from litconv.cost.deployed_keys import Place, deployed_metric

FILES_OF = "onnxruntime"  # a device runs the files that were scored on it


def name_of(metric: Metric) -> str | None:
    """`accuracy`; None where something else than the test metric is compared."""
    split, _, name = metric.key.partition("/")
    return name if split == "test" and metric.directed else deployed_metric(metric.key)


def metric_at(metric: Metric, measured: Collection[str], place: Place | None) -> Metric | None:
    """By which arms are judged there: the place's own figures, or those of the same files on ONNX Runtime. In float32 the
    test metric stands in, where neither was measured; in int8 nothing does."""
    name = name_of(metric)
    if name is None or place is None:
        return metric if name else None
    for runtime in (place.runtime, FILES_OF):
        if (key := place._replace(runtime=runtime).key(name)) in measured:
            return Metric(key)
    return metric if place.precision == "float32" else None


def scores(arm: Arm, key: str) -> dict[int, float]:
    """Seed → the metric, of the runs that have it."""
    if key not in arm.runs:
        return {}
    pairs = zip(arm.runs["seed"], arm.column(key), strict=True)
    return {int(seed): float(value) for seed, value in pairs if value == value}
