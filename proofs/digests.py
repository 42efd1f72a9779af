"""What a spec, and an instance of it, come to: one number each, that changes when anything does that matters.

A spec is taken by its structure: neither comments and layout, nor the English, nor the names of bound variables are
part of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

from mtpo.proofs.exploration.packing import Cells, Packing
from mtpo.spec.concrete import Instance
from mtpo.spec.language import Action, Function, Spec, Term, formals_of


def spec_digest(spec: Spec) -> str:
    """SHA-256 of all that says what a spec's states and steps are, and of its properties."""
    return _digest(_spec(spec))


def instance_digest(instance: Instance, roots: Cells) -> str:
    """SHA-256 of sizes, constants and initial states."""
    sizes = sorted((sort.__name__, n) for sort, n in instance.sizes.items())
    return _digest([repr(sizes), repr(sorted(instance.constants.items())), repr(instance.open)], roots.tobytes())


def layout_digest(packing: Packing) -> str:
    """SHA-256 of where each cell lies."""
    return _digest([repr([(c.word, c.shift, c.bits, c.low) for c in packing.cells])])


def formula_digest(formula: Term, action: Action | None = None, free: dict[int, str] | None = None) -> str:
    """A few letters for a formula; of the parameters of an action, or of variables whose names are given by ``id``."""
    names = {id(p): f"p{n}" for n, p in enumerate(action.params)} if action else {}
    return hashlib.sha256(_shape(formula, {**names, **(free or {})}).encode()).hexdigest()[:12]


def _digest(texts: Sequence[str] | Iterator[str], more: bytes = b"") -> str:
    found = hashlib.sha256()
    for text in texts:
        found.update(text.encode())
        found.update(b"\0")
    found.update(more)
    return found.hexdigest()


def _spec(spec: Spec) -> Iterator[str]:
    yield spec.name
    for sort in spec.sorts:
        yield f"sort {sort.__name__} {sort.ordered}"
    for symbol in (*spec.constants.values(), *spec.variables.values()):
        yield _symbol(symbol)
    for variable in spec.variables.values():
        yield f"init {variable.name} {_shape(variable.init, {id(v): str(n) for n, v in enumerate(variable.formals)})}"
    for action in spec.actions.values():
        names = {id(p): f"p{n}" for n, p in enumerate(action.params)}
        yield f"action {action.name}"
        for name, param in zip(formals_of(action), action.params, strict=True):
            yield f"{name} {_symbol(param) if isinstance(param, Function) else param.sort.__name__}"
        for clause in action.guard:
            yield f"require {clause.id} {_shape(clause.formula, names)}"
        for update in action.updates:
            inner = {**names, **({id(v): f"u{n}" for n, v in enumerate(update.args)} if update.whole else {})}
            args = [] if update.whole else [_shape(arg, inner) for arg in update.args]
            yield f"update {update.variable.name} {update.whole} {args} {_shape(update.value, inner)}"
    for property in spec.properties.values():
        yield f"{property.role} {property.id} {_shape(property.formula, {})}"


def _symbol(symbol: Function[Any]) -> str:
    return f"{symbol.kind} {symbol.name} {[s.__name__ for s in symbol.domain]} {symbol.range.__name__}"


def _shape(term: Term, names: dict[int, str]) -> str:
    """The tree as text; bound variables by where they are bound."""
    match term.op:
        case "lit":
            return f"{term.sort.__name__}:{term.data}"
        case "bound":
            return names[id(term)]
        case "apply":
            symbol, primed = term.data
            own = names.get(id(symbol), symbol.name)
            head = f"{symbol.kind} {own}{chr(39) if primed else ''}"
        case "forall" | "exists":
            names = {**names, **{id(v): f"b{len(names)}.{n}" for n, v in enumerate(term.data)}}
            head = f"{term.op} {[v.sort.__name__ for v in term.data]}"
        case _:
            head = term.op
    return f"({head} {' '.join(_shape(arg, names) for arg in term.args)})"
