"""The form of a model that is used after training: what is computed of parameters alone is computed once, beforehand.

Such are weight_norm, spectral_norm and pruning, as hooks and as parametrizations, and all that a module's own
`deployed() -> nn.Module` folds. `model` is a copy; it is changed.
"""

from contextlib import suppress
from functools import cache

from torch import Tensor, nn
from torch.nn.utils import parametrize, prune, remove_spectral_norm, remove_weight_norm

from litconv.conv.slot import HasDeployedForm

HOOKS = {"_g": [remove_weight_norm], "_orig": [remove_spectral_norm, prune.remove]}  # by a parameter of theirs


def in_deployed_form(model: nn.Module) -> nn.Module:
    if has_another_form(type(model)):
        return model.deployed().eval()
    fold_hooks(model)
    fold_parametrizations(model)
    for name, child in model.named_children():
        if (form := in_deployed_form(child)) is not child:
            setattr(model, name, form)
    return model


@cache
def has_another_form(kind: type[nn.Module]) -> bool:
    return issubclass(kind, HasDeployedForm)


def fold_hooks(module: nn.Module) -> None:
    """Hooks that make a parameter anew before every forward."""
    for parameter, _ in list(module.named_parameters(recurse=False)):
        for ending, removers in HOOKS.items():
            for remove in removers if parameter.endswith(ending) else ():
                with suppress(ValueError):  # it has that name for another reason
                    remove(module, parameter.removesuffix(ending))


def fold_parametrizations(module: nn.Module) -> None:
    """The copy shares its class with the model, so that torch's own `remove_parametrizations` would change that."""
    if not parametrize.is_parametrized(module):
        return
    folded: dict[str, Tensor] = {}
    for name, steps in module.parametrizations.items():
        is_parameter = any(True for _ in steps.parameters(recurse=False))
        folded[name] = nn.Parameter(getattr(module, name).detach()) if is_parameter else getattr(module, name)
    module.__class__ = parametrize.type_before_parametrizations(module)
    del module.parametrizations
    for name, value in folded.items():
        if isinstance(value, nn.Parameter):
            module.register_parameter(name, value)
        else:
            module.register_buffer(name, value)
