"""How large the integers of a spec can get where its variables hold so many bits.

Machine code has 64 bits and wraps around without a word; the language has numbers. So before code is made of a spec,
every sum, difference and product in it is shown to stay within 64 bits, by intervals.
"""

from __future__ import annotations

from collections.abc import Iterable

from mtpo.spec.concrete import Instance, InstanceError
from mtpo.spec.language import Int, Spec, Term, show
from mtpo.spec.language.terms import walk

LEAST, MOST = -(1 << 63), (1 << 63) - 1

Interval = tuple[int, int]


def check_arithmetic(instance: Instance, held: Interval) -> None:
    """Raise :class:`InstanceError` when a number may leave 64 bits while variables hold integers in ``held``."""
    spec = instance.spec
    for name, table in instance.constants.items():
        if any(not LEAST <= v <= MOST for v in table):
            raise InstanceError(f"{spec.name}: a value of `{name}` is beyond 64 bits, {_ADVICE}")
    known: dict[int, Interval] = {}
    for formula in _formulas(spec):
        for term in walk(formula):
            if term.sort is Int:
                low, high = _interval(term, instance, held, known)
                if low < LEAST or high > MOST:
                    raise InstanceError(
                        f"{spec.name}: `{show(term)}` may leave 64 bits, where variables hold integers "
                        f"from {held[0]} to {held[1]}; {_ADVICE}"
                    )


_ADVICE = "which compiled code has: explore with --engine python, or numpy"


def _formulas(spec: Spec) -> Iterable[Term]:
    yield from (p.formula for p in spec.properties.values())
    for action in spec.actions.values():
        yield from (clause.formula for clause in action.guard)
        for update in action.updates:
            yield from (*update.args, update.value)


def _interval(term: Term, instance: Instance, held: Interval, known: dict[int, Interval]) -> Interval:
    """The least and the greatest value that an integer term can have, or less and more."""
    if id(term) not in known:
        known[id(term)] = _of(term, instance, held, known)
    return known[id(term)]


def _of(term: Term, instance: Instance, held: Interval, known: dict[int, Interval]) -> Interval:
    if term.op == "lit":
        return int(term.data), int(term.data)
    if term.op == "apply":
        table = instance.constants.get(term.data[0].name) if term.data[0].kind == "const" else None
        return held if table is None else (min(table), max(table))
    if term.op == "bound":
        raise InstanceError(f"{instance.spec.name}: `{show(term)}` is an Int, which is not finite")
    parts = [_interval(arg, instance, held, known) for arg in term.args if arg.sort is Int]
    (a, b), (c, d) = parts
    match term.op:
        case "add":
            return a + c, b + d
        case "sub":
            return a - d, b - c
        case "mul":
            products = [x * y for x in (a, b) for y in (c, d)]
            return min(products), max(products)
        case _:
            return min(a, c), max(b, d)
