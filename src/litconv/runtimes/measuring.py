"""What a network costs where it is deployed: latency in turns with a reference, file, memory of a process of its own."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from litconv.cost.deployed_keys import Place
from litconv.cost.latency import Latency, cpu_clock, time_beside, waits_for_a_core
from litconv.runtimes import opened
from litconv.runtimes.files import Files
from litconv.runtimes.memory import peak_memory_bytes

log = logging.getLogger(__name__)
MB = 2**20


@dataclass(frozen=True)
class HowMeasured:
    threads: int
    batch: int
    seconds: float  # of rounds, for a batch of one image and for `batch`


def measure(
    files: Files, reference: Files | None, image_shape: Sequence[int], how: HowMeasured
) -> tuple[dict[str, float], list[str]]:
    """The figures by their keys, and where the machine was too busy for the milliseconds to count, in words.

    `reference`: of the network that ratios refer to, in the same place, at the same batch; None: it is itself.
    `image_shape` (C, H, W).
    """
    figures: dict[str, float] = {}
    disturbed: list[str] = []
    for place in files.paths:
        single, batched = (latency(files, reference, place, batch, image_shape, how) for batch in (1, how.batch))
        both = {1: single, how.batch: batched}
        disturbed += [f"{place.label} at batch {batch}" for batch, found in both.items() if found.is_disturbed]
        values = {
            "latency_ms": batched.median_ms,
            "latency_p10_ms": batched.p10_ms,
            "latency_p90_ms": batched.p90_ms,
            "latency_ratio": batched.ratio,
            "latency_single_ms": single.median_ms,
            "latency_single_p10_ms": single.p10_ms,
            "latency_single_p90_ms": single.p90_ms,
            "latency_single_ratio": single.ratio,
            "file_mb": files.size_of(place) / MB,
        }
        peak = peak_memory_bytes(place.runtime, files.paths[place], how.threads, (how.batch, *image_shape))
        values |= {} if peak is None else {"peak_memory_mb": peak / MB}
        figures |= {place.key(name): value for name, value in values.items()}
    if disturbed:
        log.warning(
            "deploy: the machine was too busy to measure latencies, other programs had its cores in almost every round; the "
            "ratios to standard may hold, the milliseconds do not"
        )
    return figures, disturbed


def latency(
    files: Files, reference: Files | None, place: Place, batch: int, image_shape: Sequence[int], how: HowMeasured
) -> Latency:
    images = np.random.default_rng(0).standard_normal((batch, *image_shape), np.float32)
    both = [opened(place.runtime, one.paths[place], how.threads, batch) for one in (files, reference) if one]
    calls = [lambda session=session: session(images) for session in both]
    return time_beside(calls[0], calls[1] if len(calls) > 1 else None, cpu_clock, 1e3 * how.seconds, waits_for_a_core)
