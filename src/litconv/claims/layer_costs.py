"""What an operator costs as a layer, held exactly against a ratio in closed form."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import Any

import sympy

from litconv.claims.finding import COMPUTED, Finding, Line, all_of
from litconv.claims.hypothesis import Say
from litconv.claims.layers import layer
from litconv.cost import count
from litconv.errors import ConfigError

SIZE = (8, 8)


@dataclass(frozen=True)
class LayerCosts:
    """Params and MACs of `conv`, counted in the network's own way, are `ratio` times those of the standard convolution: a formula
    of `in_channels`, `out_channels`, `kernel_size` and the operator's options. All combinations of the values are counted."""

    says: str
    conv: str
    ratio: str
    channels: Sequence[int] = (16, 64, 256)  # in and out
    kernel_sizes: Sequence[int] = (3, 5)
    options: Mapping[str, Sequence[Any]] | None = None  # option → values

    def find(self, say: Say) -> Finding:
        lines = list(self.lines())
        word = all_of(line.word for line in lines)
        wrong = sum(line.word != "supported" for line in lines)
        because = f"{len(lines) - wrong} of {len(lines)} layers have exactly {self.ratio} of the params and of the MACs"
        rule = "exact: whole numbers of two counters and a closed form, compared as fractions"
        return Finding(self.says, COMPUTED, word, because, lines, rule=rule)

    def lines(self) -> Iterator[Line]:
        formula = parsed(self.ratio)
        options = self.options or {}
        places = {
            (n, k): count(layer("standard", {}, n, n, k), n, SIZE) for n in self.channels for k in self.kernel_sizes
        }
        for ((n, k), standard), *values in product(places.items(), *options.values()):
            chosen = dict(zip(options, values, strict=True))
            own = count(layer(self.conv, chosen, n, n, k), n, SIZE)
            known = {"in_channels": n, "out_channels": n, "kernel_size": k, **chosen}
            expected = formula.subs({sympy.Symbol(name): value for name, value in known.items()})
            if not expected.is_Rational:
                raise ConfigError(f"ratio={self.ratio}: only {', '.join(known)} are known")
            params, macs = Fraction(own.params, standard.params), Fraction(own.macs, standard.macs)
            right = params == macs == Fraction(int(expected.p), int(expected.q)) and own.agrees
            named = ", ".join(f"{key} {value}" for key, value in chosen.items())
            label = f"{n} channels, {k}×{k}{f', {named}' if named else ''}"
            text = (
                f"params {own.params:,} ÷ {standard.params:,}, MACs {own.macs:,} ÷ {standard.macs:,}: {shown(params)}"
            )
            yield Line(
                label, text if params == macs else f"{text} and {shown(macs)}", "supported" if right else "refuted"
            )


def parsed(ratio: str) -> sympy.Expr:
    try:
        return sympy.sympify(ratio, rational=True)
    except (sympy.SympifyError, TypeError) as error:
        raise ConfigError(f"ratio={ratio} is no formula, such as 1/groups") from error


def shown(ratio: Fraction) -> str:
    return str(ratio) if ratio.denominator < 10_000 else f"{float(ratio):.4g}"
