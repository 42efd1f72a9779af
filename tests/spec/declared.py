"""A spec with one symbol of each kind, and what mistakes are made of."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from mtpo.spec.language import (
    Int,
    OrderedSort,
    Sort,
    Spec,
)


class Item(Sort):
    "an item"


class Rank(OrderedSort):
    "a rank"


OTHER_ITEM = type("Item", (Sort,), {})


def model() -> Any:
    """A fresh spec with one symbol of each kind; its attributes are the symbols."""
    spec: Any = Spec("m", "A model.")
    spec.on = spec.var("on", Item, init=lambda x: False)
    spec.low = spec.const("low", to=Rank)
    spec.rank = spec.var("rank", Item, to=Rank, init=lambda x: spec.low())
    spec.flag = spec.var("flag", init=lambda: False)
    spec.count = spec.var("count", to=Int, init=lambda: 0)
    spec.likes = spec.const("likes", Item, Item)
    return spec


def nested(m: Any, times: int) -> Any:
    """A formula that can't be written flat, twice as deep."""
    return functools.reduce(lambda e, n: (e & m.flag()) | ~m.flag(), range(times), m.flag() & ~m.flag())


def act(body: Callable[[Any, Any], object]) -> Callable[[Any], None]:
    """A mistake in the body of an action with one parameter."""

    def make(m: Any) -> None:
        def step(x: Item) -> None:
            body(m, x)

        m.action(step)

    return make
