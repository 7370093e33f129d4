"""`swap`: every K×K convolution of a model becomes an operator, or the model stays as it was.

First a probe image goes through a copy of the model. What it shows decides which layers can be replaced; then the operators are
built, put in the layers' places, and the image goes through a copy again: all shapes must be what they were.
"""

from collections.abc import Callable
from typing import Any, get_args

from torch import nn

from litconv.conv.slot import ConvFactory
from litconv.errors import ConfigError, some
from litconv.surgery.making import Start, built, like, started
from litconv.surgery.operators import factory, kind_of, label
from litconv.surgery.placed import put
from litconv.surgery.probing import ForwardError, Inputs, Probe, Seen, Shape, inputs_of, see
from litconv.surgery.report import Report, Row
from litconv.surgery.survey import ELSEWHERE, FIRST, as_met, require_module, require_open, shown, surveyed, unfit
from litconv.surgery.where import Choice, Layer, Where, chooser


def swap(
    model: nn.Module,
    conv: str | ConvFactory = "grouped",
    *,
    where: Choice = None,
    init: Start = "copy",
    fit_groups: bool = False,
    probe: Probe = None,
    seed: int = 0,
    **options: Any,
) -> Report:
    """Put `conv` with its `options` (groups=4) where ordinary K×K convolutions were, in place; return what was done to each.

    `where` chooses layers: a pattern of names ("!head.*": all but these) or several, a `litconv.Where` or the same as a mapping,
    or a function of name and layer; by default all but the first. `init`: weights are copied where the shapes match and drawn
    by `seed` elsewhere, or the operator becomes as like the layer as it can (`from_dense`). `fit_groups`: where `groups` does
    not divide a layer's channels, their largest common divisor below it. `probe`: an image that the model takes, or its shape,
    or a tuple of all tensors that its forward takes.
    """
    require_module(model)
    if not isinstance(fit_groups, bool):
        raise ConfigError(f"fit_groups={fit_groups!r} must be True or False")
    made = factory(conv, options)
    return operate(model, lambda _: made, chooser(where), init, fit_groups, inputs_of(model, probe), seed, label(made))


def operate(
    model: nn.Module,
    operator_at: Callable[[Layer], ConvFactory],
    is_meant: Callable[[Layer], bool],
    init: Start,
    fit_groups: bool,
    inputs: Inputs,
    seed: int,
    title: str,
) -> Report:
    if init not in get_args(Start):
        raise ConfigError(f"init={init} must be one of {', '.join(get_args(Start))}")
    require_open(model)
    rows, candidates = surveyed(model)
    seen = as_it_is(model, inputs)
    layers = {layer.name: layer for layer in as_met(candidates, seen)}
    if isinstance(is_meant, Where) and (idle := is_meant.idle(list(layers.values()))):
        raise ConfigError(idle)
    new: dict[str, nn.Module] = {}
    for candidate in candidates.values():
        name, dense = candidate.name, candidate.dense
        if why := unfit(candidate, layers.get(name), seen, is_meant):
            rows[name] = Row(name, shown(dense), *why)
            continue
        made = operator_at(layers[name])
        if dense.groups == 1 and is_dense(made):
            rows[name] = Row(name, shown(dense), "swapped", label(made), "as it is")
            continue
        try:
            operator, fitted = built(made, candidate, fit_groups)
        except TypeError as error:  # a pair where the operator takes one number
            reason = f"{label(made)} takes no such kernel or stride ({' '.join(str(error).split())[:80]})"
            rows[name] = Row(name, shown(dense), "refused", "", reason)
            continue
        start = started(operator, candidate, init, seed)
        new[name] = like(put(operator, dense), candidate)
        note = "; ".join(filter(None, (fitted, dense.note)))
        rows[name] = Row(name, shown(dense), "swapped", label(made), start, note)
    report = Report(title, [rows[name] for name, _ in model.named_modules() if name in rows])
    is_idle = layers and all(is_dense(operator_at(layer)) for layer in layers.values())  # nothing had to be done
    if not report.swapped and not (is_idle and ELSEWHERE not in report.reasons("kept")):
        raise ConfigError(no_layer(report))
    if new:
        exchange(model, new, seen, inputs)
    return report


def as_it_is(model: nn.Module, inputs: Inputs) -> Seen:
    names = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]
    try:
        return see(model, names, inputs)
    except ForwardError as error:
        shapes = " and ".join("×".join(map(str, x.shape)) for x in inputs)
        raise ConfigError(
            f"the model's forward fails on a probe image of {shapes} ({error}); give an image that it takes, as "
            "probe=(1, channels, height, width), or all tensors that it takes, as probe=(x, y)"
        ) from error


def exchange(model: nn.Module, new: dict[str, nn.Module], before: Seen, inputs: Inputs) -> None:
    """In every place where a layer stands; back again where the model then puts out something else."""
    names = {id(model.get_submodule(name)): name for name in new}
    places = [
        (parent, attribute, child, new[names[id(child)]])
        for parent in model.modules()
        for attribute, child in list(vars(parent)["_modules"].items())
        if id(child) in names
    ]
    for parent, attribute, _, operator in places:
        setattr(parent, attribute, operator)
    try:
        require_same(model, list(new), before, inputs)
    except BaseException as error:
        for parent, attribute, layer, _ in places:
            setattr(parent, attribute, layer)
        if isinstance(error, ConfigError):
            raise ConfigError(f"the model is left as it was: {error}") from error
        raise


def require_same(model: nn.Module, names: list[str], before: Seen, inputs: Inputs) -> None:
    try:
        after = see(model, names, inputs, watch_reads=False)
    except ForwardError as error:
        for name, calls in error.seen.calls.items():
            require_same_calls(name, before.calls[name][: len(calls)], calls)
        raise ConfigError(f"its forward fails with the operators ({error}); leave layers out by where=") from error
    for name in names:
        require_same_calls(name, before.calls[name], after.calls.get(name, []))
    if after.outputs != before.outputs:
        raise ConfigError(
            f"the model put out {before.outputs}, and with the operators {after.outputs}; leave layers out by where="
        )


def require_same_calls(name: str, before: list[Shape], after: list[Shape]) -> None:
    if after != before:
        was, now = (", ".join("×".join(map(str, shape[1:])) for shape in calls) for calls in (before, after))
        raise ConfigError(
            f"{name} put out {was}, and the operator in its place {now or 'is not called'}; leave it out by where.name=!{name}"
        )


def is_dense(made: ConvFactory) -> bool:
    """Whether an ordinary convolution is this operator already."""
    return getattr(kind_of(made), "is_dense", False)


def no_layer(report: Report) -> str:
    if ELSEWHERE in report.reasons("kept"):
        names = [row.name for row in report.kept if row.why == ELSEWHERE]
        return f"where= matches no layer; there are {some(names)}"
    reasons = [f"{n} × {why}" for fate in ("kept", "refused") for why, n in report.reasons(fate).most_common()]
    remedies = ["a K×K convolution of one group can"]
    if any("already" in why for why in report.reasons("kept")):
        remedies.append("where.grouped=true takes those in groups, too")
    if FIRST in report.reasons("kept"):
        remedies.append("where.first=true takes the first, too")
    there = "; ".join(reasons) or "it has none at all"
    return f"the model has no convolution that could become conv={report.conv} ({there}); {'; '.join(remedies)}"
