"""A spec whose parts are few and small, and when an exploration of parts is as one in one piece."""

from __future__ import annotations

import pytest

from mtpo.proofs.children import processes
from mtpo.proofs.exploration.explore import Exploration
from mtpo.proofs.exploration.instances import Roots, every_instance
from mtpo.spec.concrete import Instance
from mtpo.spec.language import Int, Sort, Spec, exists, forall, require

forks = pytest.mark.skipif(not processes(), reason="no forks on this system")


class Item(Sort):
    "an item"


def climbing(most: int, step: int = 5) -> Spec:
    """Items of which some are steep climb, by 1 or by ``step``; which of them are steep is a constant."""
    spec = Spec("climb")
    steep = spec.const("steep", Item)
    done = spec.var("done", Item, init=lambda p: False)
    total = spec.var("total", to=Int, init=lambda: 0)

    @spec.action
    def walk(p: Item) -> None:
        require("fresh", ~done(p))
        require("flat", ~steep(p))
        done[p] = True
        total.becomes(total() + 1)

    @spec.action
    def climb(p: Item) -> None:
        require("fresh", ~done(p))
        require("steep", steep(p))
        done[p] = True
        total.becomes(total() + step)

    spec.invariant("climb.small")(lambda: total() < most)
    spec.reachable("climb.all")(lambda: forall(Item, lambda p: done(p)))
    spec.reachable("climb.steep")(lambda: exists(Item, lambda p: done(p) & steep(p)))
    return spec


def climbers(count: int, most: int = 10**6, step: int = 5) -> tuple[Instance, Roots]:
    return every_instance(climbing(most, step), {Item: count})


def same(one: Exploration, other: Exploration) -> None:
    for name in ("initial", "states", "transitions", "depth", "complete", "taken", "symmetry"):
        assert getattr(one, name) == getattr(other, name), name
    assert [v.as_json() for v in one.verdicts] == [v.as_json() for v in other.verdicts]
