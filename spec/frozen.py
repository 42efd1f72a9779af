"""A state of one spec as the constants of another: what can be said of where its runs come to rest.

The constants and variables of the first become constants of the second, by the same names, and its formulas are taken
over as they stand: an invariant that is proven there is an assumption here, and neither is written twice.
"""

from __future__ import annotations

from typing import Any, TypeVar, cast

import attrs

from mtpo.spec.language import Bool, Function, Spec, Term

R = TypeVar("R", bound=Term)


@attrs.frozen
class Frozen:
    """A state of ``of``, any one, as constants of ``within``, each made when it is first asked for."""

    of: Spec
    within: Spec
    _made: dict[str, Function[Any]] = attrs.field(init=False, factory=dict)

    def symbol(self, symbol: Function[R]) -> Function[R]:
        """The constant that a constant or a variable of ``of`` is here; :class:`SpecError` if its name is taken."""
        if symbol.name not in self._made:
            made = self.within.const(symbol.name, *symbol.domain, to=symbol.range, doc=symbol.doc)
            self._made[symbol.name] = made
        return self._made[symbol.name]

    def formula(self, term: Bool) -> Bool:
        """A formula of ``of``, about one state, as one about these constants; what else it speaks of stays."""
        return cast(Bool, self._taken_over(term))

    def property(self, id: str) -> Bool:
        """An invariant, or an assumption, of ``of``."""
        return self.formula(self.of.properties[id].formula)

    def _has(self, symbol: Function[Any]) -> bool:
        return any(each is symbol for each in (*self.of.constants.values(), *self.of.variables.values()))

    def _taken_over(self, term: Term) -> Term:
        if term.op in ("bound", "lit"):
            return term
        args = tuple(self._taken_over(arg) for arg in term.args)
        data: Any = term.data
        if term.op == "apply" and self._has(term.data[0]):
            data = (self.symbol(term.data[0]), False)
        return type(term)(term.op, args, data)
