"""What is proven of random variants and ends against all runs of an instance: none goes round for ever."""

from __future__ import annotations

import random
from typing import Any

import pytest

from mtpo.proofs.exploration.instances import small_instance
from mtpo.proofs.induction.inductive import prove
from mtpo.proofs.verdicts import Status
from mtpo.spec.concrete import State
from mtpo.spec.language import Ending, OrderedSort, Spec, Variant, require


class Place(OrderedSort):
    """a place"""


Edge = tuple[State, str, State]


def random_spec(chance: random.Random) -> Spec:
    """Actions that turn a bit of a place, and may set the other; variants that mostly say rightly what raises them."""
    spec = Spec("bits")
    first = [chance.random() < 0.5 for _ in range(2)]
    bits = [spec.var(f"b{i}", Place, init=lambda p, on=on: on) for i, on in enumerate(first)]
    effects: dict[str, tuple[dict[int, bool], dict[int, bool]]] = {}
    for number in range(chance.randrange(1, 4)):
        turned, on = chance.randrange(2), chance.random() < 0.5
        asks, sets = effects[f"act{number}"] = {turned: on}, {turned: not on}
        if chance.random() < 0.5:
            sets[1 - turned] = chance.random() < 0.5

        def act(p: Any, asks: Any = asks, sets: Any = sets) -> None:
            for i, on in asks.items():
                require(f"is-{i}", bits[i](p) == on)
            for i, on in sets.items():
                bits[i][p] = on

        declare(spec, f"act{number}", act)
    for number in range(chance.randrange(2, 7)):
        i, on = chance.randrange(2), chance.random() < 0.5
        falls = tuple(n for n, (asks, sets) in effects.items() if asks.get(i) == on and sets.get(i) == (not on))
        raises = tuple(n for n, (asks, sets) in effects.items() if sets.get(i) == on and asks.get(i) != on)
        if falls:
            raised = tuple(n for n in raises if chance.random() < 0.9)
            spec.variant(f"bits.v{number}", Place, decreases=falls, raised_by=raised)(
                lambda x, i=i, on=on: (bits[i](x) == on,)
            )
    but = tuple(n for n in effects if chance.random() < 0.15)
    if len(but) < len(effects):
        spec.ends("bits.ends", but=but)(lambda: None)
    return spec


def declare(spec: Spec, name: str, body: Any) -> None:
    def act(p: Any) -> None:
        body(p)

    act.__name__, act.__annotations__ = name, {"p": Place}
    spec.action(act)


def edges_of(spec: Spec) -> list[Edge]:
    instance, initial = small_instance(spec, {Place: 2})
    todo = [instance.freeze(state) for state in initial]
    seen, found = set(todo), []
    while todo:
        before = todo.pop()
        for step in instance.ground()[0]:
            if instance.enabled(before, step):
                cells = list(before)
                instance.perform(cells, step)
                after = instance.freeze(cells)
                found.append((before, step.action, after))
                todo += [after] if after not in seen else []
                seen.add(after)
    return found


def goes_round(edges: list[Edge], taken: set[str]) -> bool:
    """Whether some run takes one of these actions over and over."""
    following: dict[State, set[State]] = {}
    for before, _, after in edges:
        following.setdefault(before, set()).add(after)

    def leads(start: State, end: State) -> bool:
        seen, todo = {start}, [start]
        while todo:
            fresh = following.get(todo.pop(), set()) - seen
            seen |= fresh
            todo += fresh
        return end in seen

    return any(leads(after, before) for before, name, after in edges if name in taken)


@pytest.mark.parametrize("seed", range(4))
def test_what_is_proven_to_end_does(seed: int) -> None:
    shown = {Variant: 0, Ending: 0}
    for number in range(40):
        spec = random_spec(random.Random(1000 * seed + number))
        edges = edges_of(spec)
        for verdict in prove(spec, jobs=0):
            if verdict.status is Status.PROVED:
                claim = spec.claims[verdict.property]
                assert isinstance(claim, Variant | Ending)
                shown[type(claim)] += 1
                if isinstance(claim, Variant):
                    edges_left = [edge for edge in edges if edge[1] not in claim.raised_by]
                    assert not goes_round(edges_left, {*claim.decreases})
                else:
                    assert not goes_round(edges, {*spec.actions} - {*claim.but})
                    assert verdict.detail["obligations"]
    assert shown[Variant] > 10 and shown[Ending]
