"""Fewer calls a step. Lightning enters six hooks a step of every callback it has, most of them empty: several callbacks are
one here, and of all a step's empty hooks are None, which Lightning passes over."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import pytorch_lightning as pl

HOOKS = [name for name in dir(pl.Callback) if name.startswith("on_") or name in ("setup", "teardown")]
EVERY_STEP = (
    *("on_train_batch_start", "on_train_batch_end", "on_before_zero_grad"),
    *("on_before_backward", "on_after_backward", "on_before_optimizer_step"),
)
Kind = TypeVar("Kind", bound=pl.Callback)


class Together(pl.Callback):
    def __init__(self, parts: Sequence[pl.Callback]) -> None:
        self.parts = list(parts)
        for hook in HOOKS:
            defined = [getattr(p, hook) for p in self.parts if getattr(type(p), hook) is not getattr(pl.Callback, hook)]
            if defined:
                setattr(self, hook, InTurn(defined))

    def state_dict(self) -> dict[str, Any]:
        return {part.state_key: state for part in self.parts if (state := part.state_dict())}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for part in self.parts:
            if part.state_key in state_dict:
                part.load_state_dict(state_dict[part.state_key])


class InTurn:
    def __init__(self, functions: list[Callable[..., None]]) -> None:
        self.functions = functions

    def __call__(self, *arguments: object, **named: object) -> None:
        for function in self.functions:
            function(*arguments, **named)


def without_empty_steps(callbacks: Iterable[pl.Callback]) -> list[pl.Callback]:
    """The same callbacks; what of EVERY_STEP a callback leaves to its base class is None."""
    found = list(callbacks)
    for callback in found:
        for hook in EVERY_STEP:
            if getattr(callback, hook) == getattr(pl.Callback, hook).__get__(callback):
                setattr(callback, hook, None)
    return found


def every(callbacks: Iterable[pl.Callback]) -> Iterator[pl.Callback]:
    for callback in callbacks:
        yield from callback.parts if isinstance(callback, Together) else (callback,)


def of_kind(callbacks: Iterable[pl.Callback], kind: type[Kind]) -> Kind:
    """The first of that class, alone or together with others."""
    return next(callback for callback in every(callbacks) if isinstance(callback, kind))
