"""The Triton kernels in Triton's interpreter, against torchvision: python tests/triton_process.py 1 5 prints errors as JSON.

A process of its own: Triton decides when it is imported whether its own functions are compiled or interpreted.
"""

import json
import os
import sys
from functools import partial

os.environ["TRITON_INTERPRET"] = "1"

import torch

from deform_cases import GEOMETRIES, ours, relative_error, tensors, theirs, with_gradients


def errors(geometry: tuple, inputs: list) -> dict[str, float]:
    mine = with_gradients(partial(ours, implementation="triton"), inputs, geometry)
    return {name: relative_error(mine[name], t) for name, t in with_gradients(theirs, inputs, geometry).items()}


def many() -> tuple[tuple, list]:
    """More channels, outputs and pixels than a tile holds."""
    geometry = (1, 2, False, (1, 1), (1, 1), (0, 0), (1, 1))
    inputs = tensors(geometry, 1.0, c=76, size=(9, 9))
    inputs[1] = torch.randn(70, 76, 1, 1, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    return geometry, inputs


def main() -> None:
    found = {"many": errors(*many())}
    for index in map(int, sys.argv[1:]):
        for name, dtype in {"64": torch.double, "32": torch.float}.items():
            found[f"{index} {name}"] = errors(GEOMETRIES[index], tensors(GEOMETRIES[index], 1.0, dtype))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
