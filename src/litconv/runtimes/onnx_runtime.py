"""ONNX Runtime on the CPU: operators one after the other, each with `threads` threads.

The library is imported where it is needed: it is an extra.
"""

from os import PathLike
from pathlib import Path

import numpy as np

from litconv.errors import ExportError

BATCH = "batch"  # the input's first axis, as litconv's files name it


class Session:
    def __init__(self, path: str | PathLike[str], threads: int, batch: int | None = None) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 3  # errors
        # Threads that wait for the next call by spinning would take the core of what runs in turns with this.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        if batch is not None:
            options.add_free_dimension_override_by_name(BATCH, batch)
        try:
            self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the library has a dozen kinds
            raise ExportError(f"ONNX Runtime cannot open {path}: {' '.join(str(error).split())[:200]}") from error
        self.images = self.session.get_inputs()[0].name

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return self.session.run(None, {self.images: images})[0]


def file_of(onnx_path: Path) -> Path:
    """What this runtime opens: the ONNX file itself."""
    return onnx_path


def size_of(path: Path) -> int:
    """Bytes."""
    return path.stat().st_size
