"""The model in the form in which it is exported: branches fused, batch norms folded into the convolutions before them."""

import copy

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.fx import Node
from torch.nn.utils.fusion import fuse_conv_bn_weights

from litconv.cost.folding import in_deployed_form
from litconv.export.graph import operations, recorded

TOLERANCE = 1e-4  # of the largest output: a fold only rounds
CONVOLUTIONS = (torch.ops.aten.conv2d.default, torch.ops.aten.conv_transpose2d.input)
NORM = torch.ops.aten.batch_norm.default


def deployed(model: nn.Module, images: Tensor, *, fused: bool = True) -> nn.Module:
    """A float32 copy on the CPU in eval mode. `images`: an example, of which the order of its layers is learned. `fused`: what
    is linear becomes one convolution: branches, and a batch norm that alone reads what a convolution makes."""
    copied = copy.deepcopy(model).cpu().eval().float()
    if fused:
        copied = in_deployed_form(copied)
    for parameter in copied.parameters():
        parameter.requires_grad_(False)
    return fold_norms(copied, images) if fused else copied


def fold_norms(model: nn.Module, images: Tensor) -> nn.Module:
    """In place. Where a norm is folded wrongly, which a module with a forward of its own could bring about, it is not."""
    pairs = convolutions_before_norms(recorded(model, images), model)
    if not pairs:
        return model
    folded = copy.deepcopy(model)
    for conv_name, norm_name in pairs:
        fold(folded.get_submodule(conv_name), folded.get_submodule(norm_name))
        holder, _, name = norm_name.rpartition(".")
        setattr(folded.get_submodule(holder), name, nn.Identity())
    with torch.no_grad():
        before, after = model(images), folded(images)
    same = (before - after).abs().max() <= TOLERANCE * before.abs().max().clamp_min(1)
    return folded if same else model


def fold(conv: nn.Module, norm: nn.Module) -> None:
    statistics = norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    transposed = isinstance(conv, nn.ConvTranspose2d)
    conv.weight, conv.bias = fuse_conv_bn_weights(conv.weight, conv.bias, *statistics, transposed)


def convolutions_before_norms(program: ExportedProgram, model: nn.Module) -> list[tuple[str, str]]:
    """Names of a convolution and of its norm: one reads what the other makes, alone, and each is used once."""
    signature = program.graph_signature
    names = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}

    def owner(node: Node, tensor: str) -> str | None:
        name = names.get(node.name, "") if isinstance(node, Node) and len(node.users) == 1 else ""
        return name.removesuffix(f".{tensor}") if name.endswith(f".{tensor}") else None

    pairs = []
    for norm in operations(program):
        conv = norm.args[0] if norm.target is NORM else None
        if not isinstance(conv, Node) or conv.target not in CONVOLUTIONS or len(conv.users) != 1:
            continue
        pair = owner(conv.args[1], "weight"), owner(norm.args[3], "running_mean")
        if all(pair) and can_fold(model.get_submodule(pair[0])):
            pairs.append(pair)
    return pairs


def can_fold(conv: nn.Module) -> bool:
    """Whose weight is laid out as torch's formula has it, and which has a place for a bias."""
    return isinstance(conv, nn.Conv2d) or (isinstance(conv, nn.ConvTranspose2d) and conv.groups == 1)
