"""What follows from what: simplified searches find the same, and what is said to follow does."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import pytest

from mtpo.proofs.incremental.disjuncts import Atom, Compare, Disjunct, Literal, Never, disjuncts
from mtpo.proofs.incremental.implied import comparisons, follows, simplified
from mtpo.spec.language import OrderedSort
from mtpo.spec.mtpo import mtpo

Relations = Mapping[str, set[tuple[int, ...]]]


class Number(OrderedSort):
    """a number"""


def variables(*names: str) -> tuple[tuple[str, type[Any]], ...]:
    """Variables that are all numbers."""
    return tuple((name, Number) for name in names)


def atom(symbol: str, *args: str, positive: bool = True) -> Atom:
    """A relation of the state."""
    return Atom(f"s_{symbol}", False, args, None, positive)


def true(literal: Literal, relations: Relations, size: int, names: Mapping[Any, Any]) -> bool:
    """Whether a literal holds."""
    if isinstance(literal, Never):
        return not any(holds(d, relations, size, names) for d in literal.disjuncts)
    if isinstance(literal, Compare):
        left, right = (names.get(side, side) for side in (literal.left, literal.right))
        return {"eq": left == right, "ne": left != right, "lt": left < right, "le": left <= right}[literal.op]
    return (tuple(names[arg] for arg in literal.args) in relations[literal.symbol]) == literal.positive


def holds(found: Disjunct, relations: Relations, size: int, names: Mapping[Any, Any]) -> bool:
    """Whether there are elements of which all literals hold."""
    own = [name for name, _ in found.variables]
    points = itertools.product(range(size), repeat=len(own))
    inner = ({**names, **dict(zip(own, point, strict=True))} for point in points)
    return any(all(true(x, relations, size, given) for x in found.literals) for given in inner)


def drawn(chance: random.Random, known: Sequence[str], depth: int = 0) -> Disjunct:
    """A disjunct of few symbols, so that much is said twice, whose inner quantifiers often speak of a greatest one."""
    own = [f"x{depth}", f"y{depth}"][: chance.choice((1, 1, 2))]
    names, literals = [*known, *own], list[Literal]()
    for _ in range(chance.randrange(1, 4)):
        if chance.random() < 0.6:
            positive = chance.random() < 0.8
            literals.append(atom("p", chance.choice(names), positive=positive))
        else:
            literals.append(Compare(chance.choice(("eq", "ne", "lt", "le")), *chance.choices(names, k=2)))
    if depth < 2 and chance.random() < 0.7:
        inner = drawn(chance, names, depth + 1)
        if chance.random() < 0.5 and len(own) == 1:  # nothing of the same kind above, or below
            swap = {own[0]: f"z{depth}"}
            inner = Disjunct(variables(f"z{depth}"), tuple(renamed(x, swap) for x in literals))
            order = chance.sample((own[0], f"z{depth}"), 2)
            inner = attrs.evolve(inner, literals=(*inner.literals, Compare("lt", *order)))
        literals.append(Never((inner,)))
    return Disjunct(variables(*own), tuple(literals))


def renamed(literal: Literal, names: Mapping[str, str]) -> Literal:
    """A literal of other variables."""
    if isinstance(literal, Compare):
        return Compare(literal.op, *(names.get(str(side), side) for side in (literal.left, literal.right)))
    assert isinstance(literal, Atom)
    return attrs.evolve(literal, args=tuple(names.get(str(arg), arg) for arg in literal.args))


@pytest.mark.parametrize("seed", range(40))
def test_random_disjuncts(seed: int) -> None:
    """On every relation of four numbers."""
    chance = random.Random(seed)
    cases = [drawn(chance, ()) for _ in range(12)]
    states: list[Relations] = [{"s_p": {(n,) for n in range(4) if bits >> n & 1}} for bits in range(16)]
    for case in cases:
        simpler, more = simplified(case), attrs.evolve(case, literals=(*case.literals, *comparisons(case)))
        for state in states:
            assert holds(case, state, 4, {}) == holds(more, state, 4, {}), case
            assert holds(case, state, 4, {}) == (simpler is not None and holds(simpler, state, 4, {})), case
    found = [pair for pair in itertools.permutations(cases, 2) if follows(*pair)]
    assert found
    for special, general in found:
        assert all(holds(general, state, 4, {}) for state in states if holds(special, state, 4, {}))


def test_a_contradiction_and_a_greatest_one_are_found() -> None:
    own, below = variables("c"), Compare("lt", "w", "c")
    none = Never((Disjunct(variables("d"), (atom("p", "d"), Compare("le", "c", "d"))),))
    some = Disjunct((*own, *variables("e")), (none, atom("p", "e"), Compare("lt", "c", "e")))
    assert simplified(some) is None
    above = Never((Disjunct(variables("x"), (atom("p", "x"), Compare("lt", "x", "c"), Compare("lt", "w", "x"))),))
    greatest = Disjunct(own, (Never((Disjunct(variables("w"), (atom("p", "w"), below, above)),)),))
    least = Disjunct(own, (Never((Disjunct(variables("w"), (atom("p", "w"), below)),)),))
    assert simplified(greatest) == least
    assert not follows(least, Disjunct(own, (atom("p", "c"), *least.literals)))
    assert follows(Disjunct((*own, *variables("b")), (atom("q", "c", "b"), *least.literals)), least)


def test_what_follows_for_the_order_is_found() -> None:
    """Nothing of the kind of the one is before the other, so that is not."""
    rank = Atom("c_rank", False, ("d",), "r")
    none = Never((Disjunct(variables("d"), (atom("p", "d"), Compare("lt", "r", "b"), rank)),))
    found = comparisons(Disjunct(variables("a", "b"), (none, atom("p", "a"), atom("q", "b"))))
    assert found == [attrs.evolve(rank, args=("a",)), Compare("le", "b", "r")]


def test_a_clause_said_twice_leaves_nothing_to_search_for() -> None:
    """What an agent that may act waits for is that it may act, and more: of the former there is nothing to be found."""
    (found,) = (p for p in mtpo.role("invariant") if p.id == "mtpo.no-wait-for-successors")
    every = disjuncts(found.formula, False)
    kept = [d for each in every if (d := simplified(each)) is not None]
    assert 0 < len(kept) < len(every) / 2
