"""The one table of costs: what each is called in summary.json and to a reader. No torch: comparisons read it, too."""

from typing import Literal, NamedTuple


class CostKey(NamedTuple):
    key: str  # of summary.json
    heading: str
    unit: str = ""
    budget: bool = False  # arms can be made equal in it, and are judged by it
    compared: Literal["no", "figures", "table"] = "no"  # over several runs; "table" is in the figures, too
    listed: bool = False  # a column of scripts/cost.py
    better: Literal["lower", "higher", "neither"] = "lower"


COST_KEYS = (
    CostKey("cost/params", "params", budget=True, compared="table", listed=True),
    CostKey("cost/params_ratio", "params ÷ standard", "×", listed=True),
    CostKey("cost/trainable_params", "trainable params"),
    CostKey("cost/macs", "MACs", budget=True, compared="table", listed=True),
    CostKey("cost/macs_ratio", "MACs ÷ standard", "×", listed=True),
    CostKey("cost/flops", "FLOPs", listed=True),
    CostKey("cost/activations", "activations", budget=True, compared="table", listed=True),
    CostKey("cost/elementwise_ops", "element-wise operations", listed=True),
    CostKey("cost/peak_activation_bytes", "peak activations, float32", "bytes", compared="figures", listed=True),
    CostKey("cost/peak_activation_bytes_int8", "peak activations, int8", "bytes", compared="figures", listed=True),
    CostKey("cost/uncounted_ops", "operations without a rule", better="neither"),
    CostKey("cost/second_opinion", "second opinion", better="neither"),
    CostKey("cost/receptive_field", "receptive field", "pixels", listed=True, better="neither"),
    CostKey("cost/effective_receptive_field", "effective receptive field", "pixels", listed=True),
    CostKey("cost/latency_ms", "latency", "ms", compared="table", listed=True),
    CostKey("cost/latency_p10_ms", "latency, 10th percentile", "ms"),
    CostKey("cost/latency_p90_ms", "latency, 90th percentile", "ms"),
    CostKey("cost/latency_ratio", "latency ÷ standard", "×", compared="figures", listed=True),
    CostKey("cost/latency_batch", "batch size of the latency", better="neither"),
    CostKey("cost/latency_single_ms", "latency at batch 1", "ms", compared="figures", listed=True),
    CostKey("cost/latency_single_p10_ms", "latency at batch 1, 10th percentile", "ms"),
    CostKey("cost/latency_single_p90_ms", "latency at batch 1, 90th percentile", "ms"),
    CostKey("cost/latency_single_ratio", "latency at batch 1 ÷ standard", "×", listed=True),
    CostKey("cost/latency_disturbed", "latencies measured on a busy machine", better="neither"),
    CostKey("cost/images_per_second", "images per second", listed=True, better="higher"),
    CostKey("cost/peak_memory_mb", "peak memory", "MB", compared="table", listed=True),
    CostKey("cost/train_peak_memory_mb", "training's peak memory", "MB", compared="figures", listed=True),
    CostKey("cost/energy_mj_per_image", "energy per image", "mJ", listed=True),
    CostKey("cost/device", "device", better="neither"),
    CostKey("train/seconds", "training time", "s", compared="table"),
)
