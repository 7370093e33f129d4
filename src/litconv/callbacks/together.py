"""Fewer calls a step. Lightning enters six hooks a step of every callback it has, most of them empty: several callbacks are
one here, and of all a step's empty hooks are None, which Lightning passes over."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import pytorch_lightning as pl

HOOKS = [name for name in dir(pl.Callback) if name.startswith("on_") or name in ("setup", "teardown")]
WITHIN_A_STEP = ("on_before_zero_grad", "on_before_backward", "on_after_backward", "on_before_optimizer_step")
EVERY_STEP = ("on_train_batch_start", "on_train_batch_end", *WITHIN_A_STEP)
Kind = TypeVar("Kind", bound=pl.Callback)


class Together(pl.Callback):
    def __init__(self, parts: Sequence[pl.Callback]) -> None:
        self.parts = list(parts)
        for hook in HOOKS:
            if defined := list(defined_in(self.parts, hook)):
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


def defines(callback: pl.Callback, hook: str) -> bool:
    """Whether it does more there than its base class, which does nothing."""
    found = getattr(callback, hook)
    return callable(found) and getattr(found, "__func__", None) is not getattr(pl.Callback, hook)


def defined_in(callbacks: Iterable[pl.Callback], hook: str) -> Iterator[Callable[..., Any]]:
    for callback in callbacks:
        if defines(callback, hook):
            yield getattr(callback, hook)


def without_empty_steps(callbacks: Iterable[pl.Callback]) -> list[pl.Callback]:
    """The same callbacks; what of EVERY_STEP a callback leaves to its base class is None."""
    found = list(callbacks)
    for callback in found:
        for hook in EVERY_STEP:
            if not defines(callback, hook):
                setattr(callback, hook, None)
    return found


def every(callbacks: Iterable[pl.Callback]) -> Iterator[pl.Callback]:
    for callback in callbacks:
        yield from callback.parts if isinstance(callback, Together) else (callback,)


def of_kind(callbacks: Iterable[pl.Callback], kind: type[Kind]) -> Kind:
    """The first of that class, alone or together with others."""
    return next(callback for callback in every(callbacks) if isinstance(callback, kind))
