"""The interpretation for long runs says what the plain one says: on random specs, on random runs of the protocol."""

from __future__ import annotations

import gc
import random
import weakref
from collections.abc import Iterator, Sequence
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtpo.proofs.exploration.instances import mtpo_instance
from mtpo.proofs.incremental.disjuncts import TooManyDisjuncts
from mtpo.proofs.incremental.incremental import Incremental, unsliced
from mtpo.proofs.incremental.relations import Rising, Rows, row
from mtpo.proofs.replay.numbering import FIXED, NARROW, SLICED
from mtpo.spec.concrete import Instance, InstanceError, Step
from mtpo.spec.language import Bool, Int, OrderedSort, Spec, conj, exists, forall, implies, ite
from mtpo.spec.mtpo import mtpo
from tests.spec import random_specs


class Both:
    """A spec interpreted twice, in the same state."""

    def __init__(self, instance: Instance, fast: Incremental, state: list[int]) -> None:
        self.instance, self.fast, self.state = instance, fast, state
        self.unsliced: list[str] = []
        self.wrong = {p.id for p in instance.violated(state)}
        assert {p.id for p in fast.violated()} == self.wrong

    def refused(self, step: Step) -> bool:
        """Whether a clause refuses the step: the same one on both sides."""
        clauses = self.instance.refused(self.state, step)
        found = self.fast.refused(self.fast.sparse(step))
        assert (None if found is None else found.id) == (clauses[0].id if clauses else None), step
        return bool(clauses)

    def perform(self, step: Step) -> None:
        """Take a step on both sides; afterwards everything is the same."""
        before = list(self.state)
        self.instance.perform(self.state, step)
        found = self.fast.perform(self.fast.sparse(step))
        wrong = {p.id for p in self.instance.violated_step(before, self.state)}
        assert {p.id for p in found} ^ wrong <= set(self.unsliced), step
        self.look(step)

    def look(self, step: Step) -> None:
        """What was right before the step is wrong now on both sides, or on none; an invariant that has been wrong for a
        while need not be reported again."""
        wrong = {p.id for p in self.instance.violated(self.state)}
        found = {p.id for p in self.fast.violated()}
        assert wrong - self.wrong <= found <= wrong, (step, wrong, found)
        self.wrong = wrong

    def same(self, sliced: dict[str, str]) -> None:
        """Every cell of the state that anyone reads."""
        spec, constants = self.instance.spec, self.instance.constants
        for name, variable in spec.variables.items():
            for point in self.instance.points(variable):
                if name in sliced:
                    relation = spec.constants[sliced[name]]
                    if not constants[relation.name][self.instance.index(relation, point)]:
                        continue
                assert self.fast.value(name, *point) == self.instance.value(self.state, name, *point), (name, point)


class Relieved:
    """A spec whose steps are taken without looking until, at some moment, another takes over that looks; beside it
    ``first``, which has looked all along."""

    def __init__(self, first: Incremental, skimming: Incremental, chance: random.Random) -> None:
        self.first, self.other, self.chance = first, skimming, chance
        self.looks, self.sound = False, True

    def perform(self, step: Step) -> None:
        """After a step of the first, of which nothing was asked yet."""
        found, wrong = self.first.perform(self.first.sparse(step)), self.first.violated()
        others = self.other.perform(self.other.sparse(step))
        if self.looks:
            assert (others, self.other.violated()) == (found, wrong)
        self.sound = self.sound and not wrong
        assert self.first.digest() == self.other.digest()
        if not self.looks and self.sound and self.chance.random() < 0.4:
            self.other, self.looks = self.other.going_on(), True


@settings(max_examples=60, deadline=None)
@given(random_specs.cases(), st.integers(0, 10**6))
def test_another_may_go_on(case: Any, seed: int) -> None:
    """Of random specs: what is violated after a step does not depend on whether one looked before."""
    chance = random.Random(seed)
    instance = Instance(case.spec, case.instance.sizes, {**case.instance.constants, **case.chosen})
    strides = {sort: size + chance.randrange(20) for sort, size in instance.sizes.items()}
    given = case.spec, instance.sizes, by_rows(instance, chance)
    try:
        first = Incremental(*given, strides=strides)
        relieved = Relieved(first, Incremental(*given, strides=strides, checked=False), chance)
    except TooManyDisjuncts:
        return
    relieved.sound = not first.violated()
    state, steps = instance.initial(), list(random_specs.all_steps(instance))
    for _ in range(8):
        if any(not _fits(instance, name, state) for name in case.spec.variables):
            return
        sound = [step for step in steps if not instance.refused(state, step)]
        step = chance.choice(sound or steps)
        instance.perform(state, step)
        if any(not _fits(instance, name, state) for name in case.spec.variables):
            return
        relieved.perform(step)


@settings(max_examples=60, deadline=None)
@given(random_specs.cases(), st.integers(0, 10**6))
def test_random_specs(case: Any, seed: int) -> None:
    chance = random.Random(seed)
    constants = {**case.instance.constants, **case.chosen}
    instance = Instance(case.spec, case.instance.sizes, constants)
    state = instance.initial()
    if any(not _fits(instance, name, state) for name in case.spec.variables):
        return
    try:
        fixed = [name for name in case.spec.constants if chance.random() < 0.5]
        strides = {sort: size + chance.randrange(20) for sort, size in instance.sizes.items() if chance.random() < 0.5}
        given = by_rows(instance, chance)
        both = Both(instance, Incremental(case.spec, instance.sizes, given, fixed=fixed, strides=strides), state)
    except TooManyDisjuncts:
        return
    steps = list(random_specs.all_steps(instance))
    both.same({})
    for _ in range(6):
        for step in chance.sample(steps, min(4, len(steps))):
            both.refused(step)
        step = chance.choice(steps)
        both.perform(step)
        if any(not _fits(instance, name, both.state) for name in case.spec.variables):
            return  # an integer where an element should be: no state of the spec
        both.same({})


def by_rows(instance: Instance, chance: random.Random) -> dict[str, Any]:
    """The constants of an instance, where relations of two arguments may be given by rows."""
    constants: dict[str, Any] = dict(instance.constants)
    for name, symbol in instance.spec.constants.items():
        if len(symbol.domain) == 2 and symbol.range is Bool and chance.random() < 0.7:
            table, width = instance.constants[name], instance.size(symbol.domain[1])
            rows = [table[n : n + width] for n in range(0, len(table), width)]
            constants[name] = Rows([row(o for o, holds in enumerate(each) if holds) for each in rows])
    return constants


def test_a_long_row_is_one_too() -> None:
    for elements in ([], [3], [4, 1, 4], range(100, 0, -3)):
        found = row(iter(elements))
        assert [*found] == sorted({*elements}) == [*found[:]]
        assert [n for n in range(-1, 200) if n in found] == [*found]
        assert bool(Rows([(), found])) == bool(elements)


def _fits(instance: Instance, name: str, state: Sequence[int]) -> bool:
    variable = instance.spec.variables[name]
    if not issubclass(variable.range, random_specs.Sort):
        return True
    return all(0 <= instance.value(state, name, *p) < instance.size(variable.range) for p in instance.points(variable))


def candidates(instance: Instance, chance: random.Random) -> Iterator[Step]:
    """Random steps of the protocol: some may be taken, most not."""
    while True:
        action = chance.choice(list(instance.spec.actions.values()))
        args: list[Any] = [chance.randrange(instance.size(p.sort)) for p in action.elements]
        for f in action.functions:
            table = tuple(chance.randrange(instance.size(f.range)) for _ in range(instance.cells(f)))
            args.append(table if f.name != "members" or chance.random() < 0.5 else (0,) * len(table))
        yield Step(action.name, tuple(args))


def walk(seed: int, agents: int, calls: int, objects: int, steps: int, wild: float) -> tuple[Both, int]:
    """A random run: of the steps tried those that may be taken are, and of the others a few too."""
    chance = random.Random(seed)
    given, _ = mtpo_instance(agents, calls, objects, faults=True)
    total = 1 + agents * calls
    constants = {
        **given.constants,
        "reads": [0] * objects + [int(chance.random() < 0.5) for _ in range((total - 1) * objects)],
        "writes": [1] * objects + [int(chance.random() < 0.4) for _ in range((total - 1) * objects)],
        "invertible": [1] + [int(chance.random() < 0.8) for _ in range(total - 1)],
        "replay": [chance.randrange(2)],
    }
    instance = Instance(mtpo, given.sizes, constants)
    known = {**by_rows(instance, chance), "author": Rising(instance.constants["author"])}
    both = Both(instance, Incremental(mtpo, given.sizes, known, SLICED, NARROW, FIXED), instance.initial())
    both.unsliced = unsliced(mtpo, SLICED) if wild else []
    taken = 0
    for _, step in zip(range(steps), candidates(instance, chance), strict=False):
        if not both.refused(step) or chance.random() < wild:
            both.perform(step)
            both.same(SLICED)
            taken += 1
    return both, taken


@pytest.mark.parametrize("seed", range(6))
def test_runs_of_the_protocol(seed: int) -> None:
    _, taken = walk(seed, 2, 2, 2, 1500, 0.0)
    assert taken > 15


@pytest.mark.parametrize("seed", range(4))
def test_runs_that_the_protocol_forbids(seed: int) -> None:
    """Steps are taken although their guards are false: both sides see the same properties violated."""
    _, taken = walk(seed, 2, 2, 2, 300, 0.15)
    assert taken > 40


class Item(OrderedSort):
    """an item"""


turning: Final = Spec("turning", "Tables that become what they say of themselves.")
link = turning.const("link", Item, Item, doc="one is tied to the other")
phase = turning.var("phase", Item, to=Int, init=lambda i: 0, doc="goes round")
hand = turning.var("hand", Item, to=Item, init=lambda i: i, doc="points to one")
lit = turning.var("lit", Item, init=lambda i: False, doc="is on")
seen = turning.var("seen", Item, Item, init=lambda i, j: False, doc="was on with the other")


@turning.action
def turn(i: Item) -> None:
    "Everything that is tied to the item goes on, from what it was."
    phase.becomes(lambda j: ite(link(i, j), ite(phase(j) == 0, 1, ite(phase(j) == 1, 2, phase(j) - 2)), phase(j)))
    hand.becomes(lambda j: ite((hand(j) == i) | exists(Item, lambda k: (hand(k) == j) & link(i, k)), i, hand(j)))
    lit.becomes(lambda j: ite(link(i, j) | exists(Item, lambda k: lit(k) & link(k, j)), ~lit(j), lit(j)))
    seen.becomes(lambda j, k: seen(j, k) | (lit(j) & lit(k) & (seen(k, j) | link(j, k))))


@turning.invariant("turning.few")
def few() -> Bool:
    "Not all that point to one are on."
    return forall(Item, lambda i: exists(Item, lambda j: (hand(j) == i) & (~lit(j) | (phase(j) < 2))))


@turning.step_property("turning.on")
def on() -> Bool:
    "What was seen was on before."
    return forall(Item, Item, lambda i, j: implies(seen.next(i, j) & ~seen(i, j), lit(i) & lit(j) & ~lit.next(j)))


@turning.step_property("turning.alone")
def alone_in_going_off() -> Bool:
    "One goes off at a time."
    return forall(Item, Item, lambda i, j: implies(lit(i) & ~lit.next(i) & lit(j) & ~lit.next(j), i == j))


@turning.step_property("turning.together")
def off_before_on() -> Bool:
    "What goes off is before what goes on."
    return forall(Item, Item, lambda i, j: implies(lit(i) & ~lit.next(i) & ~lit(j) & lit.next(j), i < j))


@turning.step_property("turning.once")
def seen_once() -> Bool:
    "With one other at a time an item was seen."
    return forall(
        *(Item, Item, Item),
        lambda i, j, k: implies(conj(seen.next(i, j), ~seen(i, j), seen.next(i, k), ~seen(i, k)), j == k),
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), st.integers(0, 10**6))
def test_tables_that_depend_on_themselves(size: int, seed: int) -> None:
    """Each cell becomes what it does by what all were, in whichever order that is found."""
    chance = random.Random(seed)
    constants = {"link": [int(chance.random() < 0.4) for _ in range(size * size)]}
    instance = Instance(turning, {Item: size}, constants)
    both = Both(instance, Incremental(turning, {Item: size}, constants), instance.initial())
    for _ in range(12):
        both.perform(Step("turn", (chance.randrange(size),)))
        both.same({})


class Group(OrderedSort):
    """a group"""


grouped: Final = Spec("grouped", "Items in groups, which come in the order of the items, or do not.")
group = grouped.const("group", Item, to=Group, doc="where it belongs")
shining = grouped.var("shining", Item, init=lambda i: False, doc="is on")
least = grouped.const("least", to=Item, doc="the one with which all begin")
held = grouped.var("held", Group, to=Item, init=lambda g: least(), doc="one of them")


@grouped.action
def flip(i: Item, g: Group, j: Item) -> None:
    "An item is turned on or off; a group holds another."
    shining[i] = ~shining(i)
    held[g] = j


@grouped.invariant("grouped.alone")
def alone() -> Bool:
    "Of two that are on the later one is in a later group."
    return forall(Item, Item, lambda i, j: implies(shining(i) & shining(j) & (i < j), group(i) < group(j)))


@grouped.invariant("grouped.together")
def together() -> Bool:
    "Of two that are on the later one is in no later group."
    return forall(Item, Item, lambda i, j: implies(shining(i) & shining(j) & (i < j), ~(group(i) < group(j))))


@grouped.invariant("grouped.order")
def order() -> Bool:
    "Of two that are on the later one is in no earlier group."
    return forall(Item, Item, lambda i, j: implies(shining(i) & shining(j) & (i <= j), ~(group(j) < group(i))))


@grouped.invariant("grouped.held")
def held_off() -> Bool:
    "What is on is in no group that is, or is before, one that holds something before it."
    return forall(
        Item, Group, lambda i, g: implies(shining(i) & (held(g) < i) & (group(i) <= group(held(g))), ~shining(held(g)))
    )


@grouped.step_property("grouped.step")
def kept() -> Bool:
    "What one holds that was held by another before is in no group after that one's."
    return forall(
        Group,
        Group,
        lambda g, h: implies(held(g) < held.next(h), ~((group(held.next(h)) < group(held(g))) & shining.next(held(g)))),
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.integers(1, 3), st.booleans(), st.integers(0, 10**6))
def test_of_what_never_falls_less_is_asked(size: int, groups: int, rising: bool, seed: int) -> None:
    """It finds what it would find if it asked for more."""
    chance = random.Random(seed)
    table = [chance.randrange(groups) for _ in range(size)]
    if rising:
        table.sort()
    sizes, constants = {Item: size, Group: groups}, {"group": table, "least": [0]}
    instance = Instance(grouped, sizes, constants)
    given = Rising(table) if rising else table
    both = Both(instance, Incremental(grouped, sizes, {**constants, "group": given}), instance.initial())
    for _ in range(12):
        both.perform(Step("flip", (chance.randrange(size), chance.randrange(groups), chance.randrange(size))))
        both.same({})


def test_what_never_falls_must_not_fall() -> None:
    with pytest.raises(InstanceError, match="grouped: `group` falls from one element to the next"):
        Incremental(grouped, {Item: 3, Group: 3}, {"group": Rising([0, 2, 1]), "least": [0]})


working: Final = Spec("working", "What is left about while somebody works is cleared up before the rest.")
busy = working.var("busy", Item, init=lambda i: False, doc="works")
left = working.var("left", Item, init=lambda i: False, doc="is left about")


@working.action
def switch(i: Item) -> None:
    "It begins to work, or ends."
    busy[i] = ~busy(i)


@working.action
def toggle(i: Item) -> None:
    "It is left about, or cleared up."
    left[i] = ~left(i)


@working.invariant("working.clear")
def clear() -> Bool:
    "While nobody works nothing is left about."
    return implies(forall(Item, lambda i: ~busy(i)), forall(Item, lambda i: ~left(i)))


@pytest.mark.parametrize("cleared", [False, True])
@pytest.mark.parametrize("moment", range(5))
def test_what_waits_is_not_lost_when_another_goes_on(moment: int, cleared: bool) -> None:
    """What was left about before one began to look is found when the rest begins."""
    steps = [Step("switch", (0,)), Step("toggle", (1,)), Step("toggle", (2,)), Step("toggle", (1,))]
    steps += [Step("toggle", (2,))] * cleared
    spec = Incremental(working, {Item: 3}, {}, checked=False)
    for number, step in enumerate(steps):
        if number == moment:
            spec = spec.going_on()
        assert not spec.perform(step) and not spec.violated()
    spec = spec.going_on() if moment >= len(steps) else spec
    spec.perform(Step("switch", (0,)))
    assert [p.id for p in spec.violated()] == ([] if cleared else ["working.clear"])


def test_nothing_is_left_to_a_search_for_garbage() -> None:
    enabled = gc.isenabled()
    gc.disable()
    try:
        spec = Incremental(working, {Item: 3}, {}, checked=False).going_on()
        alive = weakref.ref(spec.reader("busy"))
        assert alive() is not None
        del spec
        assert alive() is None
    finally:
        if enabled:
            gc.enable()


def test_what_slicing_leaves_out_is_read_by_nothing_else() -> None:
    """Only ``committed-stable`` compares what a call saw of objects that it does not read, with itself."""
    assert unsliced(mtpo, SLICED) == ["mtpo.committed-stable"]
