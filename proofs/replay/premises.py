"""What a property says something of: the premises of its implications.

Where no premise is ever true a property holds of nothing: it is vacuous there. A property is taken apart along its
conjunctions, its quantifiers and the conclusions of its implications; what is left has the premises on the way to it,
one of which is *met* where all are true for some elements. A part without a premise speaks of every element.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import attrs

from mtpo.proofs.exploration.watching import Test, test_for
from mtpo.spec.concrete import Instance
from mtpo.spec.language import Bool, Property, Term, conj, conjuncts, show


@attrs.frozen(eq=False)
class Premise:
    """What must be true for some elements ``over`` which it speaks for a part of a property to say anything."""

    id: str
    over: tuple[Term, ...]
    formulas: tuple[Bool, ...]

    @property
    def what(self) -> str:
        """The premise as text."""
        return show(conj(*self.formulas)) if len(self.formulas) > 1 else show(self.formulas[0])

    def test(self, instance: Instance) -> Test:
        """``f(state)`` or, of a step, ``f(state, after)``: whether it is met."""
        names = {variable: f"p{k}_{variable.data[0]}" for k, variable in enumerate(self.over)}
        return test_for(instance, names, [part for formula in self.formulas for part in conjuncts(formula)], {})


def premises(property: Property) -> list[Premise]:
    """The premises of a property, one for each part that has any, as ``ID`` or, of several parts, ``ID/NUMBER``."""
    parts = list(_parts(property.formula, (), ()))
    ids = [property.id] if len(parts) == 1 else [f"{property.id}/{k}" for k in range(len(parts))]
    return [Premise(id, over, formulas) for id, (over, formulas) in zip(ids, parts, strict=True) if formulas]


def _parts(
    formula: Term, over: tuple[Term, ...], found: tuple[Bool, ...]
) -> Iterator[tuple[tuple[Term, ...], tuple[Bool, ...]]]:
    if formula.op == "and":
        for part in formula.args:
            yield from _parts(part, over, found)
    elif formula.op == "forall":
        yield from _parts(formula.args[0], (*over, *formula.data), found)
    elif formula.op == "or" and len(formula.args) == 2 and formula.args[0].op == "not":  # as `implies` writes it
        yield from _parts(formula.args[1], over, (*found, cast(Bool, formula.args[0].args[0])))
    else:
        yield over, found
