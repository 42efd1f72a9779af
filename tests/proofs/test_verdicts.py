"""Verdicts and traces: exit codes, plain data, and text that can be read."""

from __future__ import annotations

import itertools

import pytest

from mtpo.proofs.verdicts import Status, Trace, Verdict, element, exit_code
from mtpo.spec.concrete import Instance, Step
from mtpo.spec.language import Bool, Function, Int, OrderedSort, Sort, Spec, function, require


class Item(Sort):
    "an item"


class Rank(OrderedSort):
    "a rank"


SPEC = Spec("s")
LIMIT = SPEC.const("limit", to=Rank)
LIKES = SPEC.const("likes", Item, Item)
ON = SPEC.var("on", Item, init=lambda x: False)
RANK = SPEC.var("rank", Item, to=Rank, init=lambda x: LIMIT())
BUSY = SPEC.var("busy", init=lambda: False)
COUNT = SPEC.var("count", to=Int, init=lambda: 0)


@SPEC.action(to=function(Item, to=Rank), chosen=function(Item))
def move(x: Item, to: Function[Rank], chosen: Function[Bool]) -> None:
    require("chosen", chosen(x))
    ON[x] = True
    RANK.becomes(to)
    BUSY.becomes(True)
    COUNT.becomes(COUNT() - 3)


@SPEC.action
def rest() -> None:
    BUSY.becomes(False)


def trace(inductive: bool, open: tuple[str, ...] = ()) -> Trace:
    instance = Instance(SPEC, {Item: 2, Rank: 3}, {"limit": [1], "likes": [0, 1, 0, 0]}, open=open)
    state = instance.initial({"likes": [0, 1, 0, 0]})
    states, steps = [instance.freeze(state)], (Step("move", (1, (1, 2), (0, 1))), Step("rest", ()))
    for step in steps:
        instance.perform(state, step)
        states.append(instance.freeze(state))
    return Trace(instance, tuple(states), steps, inductive)


STEPS = [
    "step 1: move(x=item1, to={item0:rank1 item1:rank2}, chosen={item1})",
    "  on(item1): false -> true",
    "  rank(item1): rank1 -> rank2",
    "  busy: false -> true",
    "  count: 0 -> -3",
    "step 2: rest()",
    "  busy: true -> false",
]
CONSTANTS = ["constants", "  limit: rank1", "  likes: {(item0,item1)}"]


@pytest.mark.parametrize("open", [(), ("likes",)], ids=["fixed", "open"])
def test_a_run_is_its_constants_and_what_each_step_changed(open: tuple[str, ...]) -> None:
    assert trace(False, open).lines() == [*CONSTANTS, "first state", *STEPS]


def test_a_step_out_of_an_allowed_state_shows_that_state() -> None:
    state = ["  on: {}", "  rank: {item0:rank1 item1:rank1}", "  busy: false", "  count: 0"]
    assert trace(True).lines() == [*CONSTANTS, "state that every property allows", *state, *STEPS]


def test_names_of_elements() -> None:
    assert [element(Item, 1), element(Rank, 0), element(Bool, 1), element(Bool, 0), element(Int, -4)] == [
        "item1",
        "rank0",
        "true",
        "false",
        "-4",
    ]


def test_exit_codes() -> None:
    def code(*statuses: Status) -> int:
        return exit_code([Verdict("s.p", status, "inductive") for status in statuses])

    assert code() == 0
    assert code(Status.PROVED, Status.CHECKED, Status.SAMPLED) == 0
    for order in itertools.permutations([Status.PROVED, Status.UNKNOWN]):
        assert code(*order) == 3
    for order in itertools.permutations([Status.PROVED, Status.UNKNOWN, Status.FAILED]):
        assert code(*order) == 1


def test_data_for_programs() -> None:
    bare = Verdict("s.p", Status.PROVED, "inductive", {"obligations": 2}, ("s.a",))
    assert bare.as_json() == {
        "property": "s.p",
        "status": "PROVED",
        "method": "inductive",
        "obligations": 2,
        "assumptions": ["s.a"],
    }
    failed = Verdict("s.p", Status.FAILED, "inductive", clause="c", trace=trace(False))
    assert failed.as_json()["clause"] == "c"
    assert failed.as_json()["trace"] == trace(False).lines()
