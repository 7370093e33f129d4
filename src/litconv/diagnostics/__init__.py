"""What a trained network does inside, on any nn.Module and any batches: no configuration, one pass, constant memory.

>>> diagnose(model, batches).summary()["diagnostics/dead_channels"]
"""

from litconv.diagnostics.diagnosis import Diagnosis, diagnose

__all__ = ["Diagnosis", "diagnose"]
