"""What `benchmarks/gpu.py` tries on a GPU: one module a part, each with `run(setting, report)`. This table is their order."""

from typing import NamedTuple


class Part(NamedTuple):
    module: str
    title: str
    seconds: float  # its share of ten minutes


PARTS = {
    "machine": Part("machine", "what this machine has, and its ceilings", 25),
    "operators": Part("operators", "every operator and precision against the CPU; waits for the GPU", 80),
    "triton": Part("triton_kernels", "Triton's deformable convolution against torchvision's", 120),
    "training": Part("training", "CIFAR-10, ResNet-20, bf16, interrupted and taken up again", 90),
    "epoch": Part("epoch", "an epoch: eager, compiled, CUDA graphs ÷ a bare compiled loop", 105),
    "seeds": Part("seeds", "seeds at once in slots ÷ one", 70),
    "memory": Part("memory", "peak memory and energy against other counters", 30),
    "out_of_memory": Part("out_of_memory", "the batch that is advised after running out of memory fits", 30),
    "layouts": Part("layouts", "memory layout and precision, for every operator", 50),
}
