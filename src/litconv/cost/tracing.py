"""TorchScript's trace of a forward, and fvcore's rules on it, module by module.

For every number among an operation's arguments the tracer notes a whole Python stack, which takes longer than the operation.
Those that have most are therefore written into the trace here: convolutions and batch norms as the tracer would write them on
the CPU (on the meta device it would not record F.conv2d at all), and what only moves values, which costs nothing by any rule,
by its result alone. Sizes are plain numbers.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch._C import ListType, _get_tracing_state, _get_value_trace, _set_tracing_state, _set_value_trace
from torch.jit import _trace
from torch.jit._trace import _get_trace_graph
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from litconv.cost.elementwise import FREE, free
from litconv.cost.observed import Observed, tensors_of
from litconv.cost.products import fvcore_handles

CONVOLUTIONS = {getattr(torch, f"conv{axes}d"): axes for axes in (1, 2, 3)}
TRANSPOSED = {getattr(torch, f"conv_transpose{axes}d"): axes for axes in (1, 2, 3)}
MOVING = {getattr(owner, name) for owner in (Tensor, torch, functional) for name in FREE if hasattr(owner, name)}
MOVING |= {Tensor.__getitem__, Tensor.shape.__get__}


class Recorded(TorchFunctionMode):
    """Inside a trace, convolutions of batched input and batch norms are one node each; padding="same" is left to PyTorch,
    which records it as `_convolution_mode`."""

    def __init__(self) -> None:
        super().__init__()
        self.constants: dict[Any, Any] = {}

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if _get_tracing_state() is None:
            return func(*args, **kwargs)
        if func in MOVING:
            values = [_get_value_trace(tensor) for tensor in tensors_of((*args, *kwargs.values()))]
            out = self.unseen(lambda: func(*args, **kwargs))
            for result in tensors_of((out,)):
                self.moved(values, result)
            return out
        if func in CONVOLUTIONS or func in TRANSPOSED:
            x, weight, bias, *rest = _named(args, kwargs, "input", "weight", "bias")
            is_string = any(isinstance(value, str) for value in (*rest, *kwargs.values()))
            if not is_string and x.ndim == weight.ndim:
                # stride, padding, dilation, transposed, output padding, groups, four of cuDNN's: fvcore reads one of them
                unread, flags = [0] * (weight.ndim - 2), [False] * 4
                numbers = (unread, unread, unread, func in TRANSPOSED, unread, 1, *flags)
                return self.note("aten::_convolution", (x, weight, bias), numbers, lambda: func(*args, **kwargs))
        if func is functional.batch_norm:
            x, mean, variance, weight, bias, *rest = _named(
                args, kwargs, "input", "running_mean", "running_var", "weight", "bias"
            )
            training = rest[0] if rest else kwargs.get("training", False)
            tensors, numbers = (x, weight, bias, mean, variance), (bool(training), 0.1, 1e-5, False)
            return self.note("aten::batch_norm", tensors, numbers, lambda: func(*args, **kwargs))
        return func(*args, **kwargs)

    def note(
        self, kind: str, tensors: Sequence[Tensor | None], numbers: Sequence[Any], call: Callable[[], Tensor]
    ) -> Tensor:
        values = [self.constant(None) if t is None else _get_value_trace(t) for t in tensors]
        values += [self.constant(number) for number in numbers]
        out = self.unseen(call)
        self.write(kind, values, out)
        return out

    def unseen(self, call: Callable[[], Any]) -> Any:
        """Nothing of it is recorded."""
        state = _get_tracing_state()
        _set_tracing_state(None)
        try:
            return call()
        finally:
            _set_tracing_state(state)

    def moved(self, values: Sequence[Any], result: Tensor) -> None:
        """As a concatenation of all that it is of: the tracer drops what leads nowhere."""
        graph = _get_tracing_state().graph()
        parts = graph.create("prim::ListConstruct", values, 1)
        graph.insertNode(parts)
        parts.output().setType(ListType.ofTensors())
        self.write("aten::cat", [parts.output(), self.constant(0)], result)

    def write(self, kind: str, values: Sequence[Any], result: Tensor) -> None:
        graph = _get_tracing_state().graph()
        node = graph.create(kind, values, 1)
        graph.insertNode(node)
        node.output().inferTypeFrom(result)
        _set_value_trace(result, node.output())

    def constant(self, number: Any) -> Any:
        """Once for the whole trace, which has no branches."""
        key = repr(number)
        if key not in self.constants:
            self.constants[key] = _get_tracing_state().graph().insertConstant(number)
        return self.constants[key]


def _named(args: tuple, kwargs: dict[str, Any], *names: str) -> list[Any]:
    """The arguments of these names, then those that follow by place."""
    return [args[i] if i < len(args) else kwargs.get(name) for i, name in enumerate(names)] + list(args[len(names) :])


def graph_of(model: nn.Module, x: Tensor) -> Any:
    """With the names of modules as its scopes."""
    before, _trace._trace_module_map = _trace._trace_module_map, {m: name for name, m in model.named_modules()}
    try:
        with Recorded(), Observed():
            graph, _ = _get_trace_graph(model, x, _force_outplace=False)
        return graph
    finally:
        _trace._trace_module_map = before


class Analysis:
    """What fvcore's rules say of every module with its children, by name; "" is the model."""

    def __init__(self, model: nn.Module, x: Tensor) -> None:
        self.counts: dict[str, Counter] = {name: Counter() for name, _ in model.named_modules()}
        self.uncounted: dict[str, Counter] = {name: Counter() for name in self.counts}
        own: dict[str, Counter] = defaultdict(Counter)
        uncounted: dict[str, Counter] = defaultdict(Counter)
        handles = fvcore_handles()
        uncosted = {kind for kind, handle in handles.items() if handle is free}
        for node in graph_of(model, x).nodes():
            kind = node.kind()
            if kind in uncosted:
                continue
            if kind == "prim::PythonOp":
                kind = f"{kind}.{node.pyname()}"
            place = node.scopeName().rpartition("/")[2]
            if kind in handles:
                counter = own[place]
                for what, times in handles[kind](list(node.inputs()), list(node.outputs())).items():
                    counter[what] += times
            elif not is_no_operation(kind):
                uncounted[place][kind] += 1
        for of_places, of_modules in ((own, self.counts), (uncounted, self.uncounted)):
            for place, counter in of_places.items():
                for name in containing(place):
                    of_modules[name].update(counter)


def is_no_operation(kind: str) -> bool:
    """Of the tracer's own, all but functions of Python and of TorchScript, into which nobody can see."""
    return kind.startswith("prim::") and not kind.startswith(("prim::PythonOp", "prim::CallFunction"))


def containing(place: str) -> list[str]:
    """layer1.0.conv → "", layer1, layer1.0, layer1.0.conv"""
    parts = place.split(".") if place else []
    return [".".join(parts[:depth]) for depth in range(len(parts) + 1)]
