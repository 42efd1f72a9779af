"""The compiled interpretation says what the others say: on random specs, on ours, with and without symmetry."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from mtpo.proofs.exploration.compiled import search_compiled
from mtpo.proofs.exploration.explore import explore
from mtpo.proofs.exploration.instances import every_instance, mtpo_instance
from mtpo.proofs.exploration.kernel import compile_kernel
from mtpo.proofs.exploration.packing import Packing, TooWide
from mtpo.proofs.exploration.rows import successors
from mtpo.proofs.exploration.symmetry import MAX_GROUP, symmetry_of
from mtpo.spec.concrete import Instance, InstanceError, evaluate
from mtpo.spec.language import Int, Sort, Spec, exists, forall, function, require
from mtpo.spec.mtpo import Agent, Call, Object, Value, mtpo
from mtpo.spec.paged_kv import kv
from tests.spec import counter, random_specs
from tests.spec.shaky import Process, shaky

pytestmark = pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")  # hashes wrap around


def counters(processes: int) -> Instance:
    return Instance(counter.counter, {counter.Process: processes})


# -- one spec, the same meaning ------------------------------------------------------------------------------------


def same_as_the_reference(case: Any, jit: bool) -> None:
    instance: Instance = case.instance
    kernel = compile_kernel(instance, jit=jit)
    dtype = kernel.packing.dtype if jit else np.int64
    row, after = np.array(list(case.before), dtype=dtype), np.array(list(case.after), dtype=dtype)
    out, by = np.zeros((4096, instance.width), dtype=dtype), np.zeros(4096, dtype=np.int64)
    found = kernel.code.expand(row, np.zeros(kernel.scratch, dtype=dtype), out, by)
    actions = list(case.spec.actions)
    got = Counter((actions[by[n]], tuple(map(int, out[n]))) for n in range(found))
    assert got == Counter((step.action, tuple(after)) for step, after in successors(instance, case.before))
    (state,), (move,) = case.spec.role("invariant", "lemma"), case.spec.role("step")
    assert bool(kernel.code.holds(row, row, row)) == bool(evaluate(state.formula, instance, case.before, {}))
    wanted = evaluate(move.formula, instance, case.before, {}, case.after)
    assert bool(kernel.code.allows(row, after, row)) == bool(wanted)


QUICK = settings(deadline=None, suppress_health_check=list(HealthCheck))


@given(random_specs.cases())
@settings(QUICK, max_examples=60)
def test_the_generated_code_expands_a_state_as_the_reference_does(case: Any) -> None:
    same_as_the_reference(case, jit=False)


@given(random_specs.cases())
@settings(QUICK, max_examples=50)
def test_an_exploration_of_a_random_spec_ends_as_the_plain_one_does(case: Any) -> None:
    """With its properties, and without: a random one is soon violated."""
    given_ = case.instance
    bare = Instance(case.spec.without(properties={}), given_.sizes, given_.constants, open=given_.open)
    for instance in (given_, bare):
        roots = [instance.freeze(instance.initial(case.chosen)), case.before, case.after]
        plain = explore(instance, roots, limit=200)
        try:
            found = search_compiled(instance, roots, limit=200, jit=False)
        except InstanceError as error:  # of a number that doubles with each step, say
            assert re.search("needs more than the 62 bits|may leave 64 bits", str(error))
            continue
        bad = next((v.trace for v in plain.verdicts if v.trace), None)
        assert (found.violated is None) == (bad is None)
        assert found.complete == plain.complete
        if bad is not None and found.violated is not None:
            assert len(found.violated.steps) == len(bad.steps)
            assert instance.violated(found.violated.states[-1]) or instance.violated_step(*found.violated.states[-2:])
        elif plain.complete:
            assert (found.initial, found.states, found.transitions) == (plain.initial, plain.states, plain.transitions)
            assert (found.depth, found.taken) == (plain.depth, plain.taken)


@pytest.mark.slow
@given(random_specs.cases())
@settings(QUICK, max_examples=20)
def test_its_machine_code_does_too(case: Any) -> None:
    same_as_the_reference(case, jit=True)


def test_more_successors_than_rows_are_noticed() -> None:
    kernel = compile_kernel(counters(3), jit=False)
    row, out = np.array(counters(3).initial()), np.zeros((2, counters(3).width), dtype=np.int64)
    assert kernel.code.expand(row, np.zeros(1, dtype=np.int64), out, np.zeros(2, dtype=np.int64)) == -1


def hands(out_of: bool) -> Spec:
    """Whoever acts hands out to everybody who is allowed; what is true of the allowed alone bears no cell."""
    spec = Spec("hands")
    allowed = spec.var("allowed", Process, init=lambda p: out_of)
    done = spec.var("done", Process, init=lambda p: False)

    @spec.action(out=function(Process))
    def hand(out: Any) -> None:
        require("ok", forall(Process, lambda p: out(p) & allowed(p)))
        done.becomes(lambda p: out(p))

    spec.invariant("hands.none")(lambda: forall(Process, lambda p: ~done(p)))
    return spec


def test_a_part_of_a_clause_that_mentions_no_cell_is_tested_too() -> None:
    never = search_compiled(Instance(hands(False), {Process: 2}), limit=100, jit=False)
    assert (never.states, never.transitions, never.violated) == (1, 0, None)
    once = search_compiled(Instance(hands(True), {Process: 2}), limit=100, jit=False)
    assert once.violated is not None
    assert [step.args for step in once.violated.steps] == [((1, 1),)]


@pytest.mark.parametrize("case", ["counter", "kv", "mtpo"])
def test_a_compiled_exploration_finds_what_the_plain_one_finds(case: str) -> None:
    if case == "counter":
        instance, roots = counters(3), None
    elif case == "kv":
        instance, roots = every_instance(kv, dict.fromkeys(kv.sorts, 2))
    else:
        instance, roots = mtpo_instance(2, 1, 1)
    plain = explore(instance, roots)
    found = search_compiled(instance, roots, limit=10**9, jit=False)
    assert found.complete
    assert found.violated is None
    assert (found.initial, found.states, found.transitions) == (plain.initial, plain.states, plain.transitions)
    assert (found.depth, found.taken) == (plain.depth, plain.taken)
    assert found.reached == {v.property for v in plain.verdicts if v.method == "reached"}
    assert found.bytes_per_state < 48


# -- the counter, whose size is known ------------------------------------------------------------------------------


def test_the_counter_has_the_states_that_every_engine_finds() -> None:
    """2,986,377 states and 8,106,620 steps for four processes (Spin, TLC, Rumur and plain Python agree)."""
    found = search_compiled(counters(4), limit=10**9)
    assert (found.states, found.transitions, found.depth) == (2_986_377, 8_106_620, 24)
    assert found.bytes_per_state <= 32


def test_symmetry_leaves_one_state_of_each_orbit() -> None:
    """The orbits of what is left are together all the states."""
    instance = counters(3)
    found = search_compiled(instance, limit=10**9, symmetry=True, jit=False)
    assert (found.renamings, found.states) == (6, 4_745)
    all_states = explore(instance).states
    assert all_states == 26_260
    renamings = symmetry_of(instance)
    seen, frontier, orbits = set[Any](), [tuple(instance.initial())], 0
    seen.add(renamings.canonical(frontier[0]))
    while frontier:
        state = frontier.pop()
        orbits += len(renamings.images(state))
        for _, after in successors(instance, state):
            least = renamings.canonical(tuple(after))
            if least not in seen:
                seen.add(least)
                frontier.append(least)
    assert len(seen) == found.states
    assert orbits == all_states


# -- counterexamples -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("symmetry", [False, True])
def test_a_counterexample_is_a_shortest_run(symmetry: bool) -> None:
    spec = shaky(10)
    found = search_compiled(Instance(spec, {spec.sorts[0]: 3}), limit=10**6, jit=False, symmetry=symmetry)
    assert not found.complete
    assert found.violated is not None
    trace = found.violated
    assert [step.action for step in trace.steps] == ["add", "add"]
    assert [p.id for p in trace.instance.violated(trace.states[-1])] == ["shaky.small"]
    for number, step in enumerate(trace.steps):
        after = list(trace.states[number])
        assert trace.instance.enabled(after, step)
        trace.instance.perform(after, step)
        assert tuple(after) == tuple(trace.states[number + 1])


def test_an_integer_gets_the_bits_that_it_needs() -> None:
    """The total reaches 15 and 16 with 4 bits at first: the search is made again with more."""
    spec = shaky(1000)
    for processes, total in ((3, 15), (4, 20)):
        found = search_compiled(Instance(spec, {spec.sorts[0]: processes}), limit=10**6, jit=False)
        assert found.states == 2**processes, total
        assert found.reached == {"shaky.two"}


def test_a_violated_step_is_shown_with_the_step() -> None:
    spec = shaky(1000)
    (process,) = spec.sorts

    @spec.action
    def forget() -> None:
        done = spec.variables["done"]
        require("all", forall(process, lambda p: done(p)))
        done.becomes(lambda p: False)

    found = search_compiled(Instance(spec, {process: 2}), limit=10**6, jit=False)
    assert found.violated is not None
    assert [step.action for step in found.violated.steps] == ["add", "add", "forget"]
    assert [p.id for p in found.violated.instance.violated_step(*found.violated.states[-2:])] == ["shaky.stays"]


def test_a_search_stops_at_its_limit() -> None:
    found = search_compiled(counters(3), limit=1000, jit=False)
    assert not found.complete
    assert found.violated is None
    assert 1000 < found.states <= 26_260


@pytest.mark.slow
def test_the_machine_code_of_the_protocol_finds_what_python_finds() -> None:
    """Half a minute to compile; 244,014 states."""
    instance, roots = mtpo_instance(2, 1, 2)
    found, plain = search_compiled(instance, roots, limit=10**9), explore(instance, roots)
    assert (found.states, found.transitions, found.depth) == (244_014, 409_484, 15)
    assert (plain.states, plain.transitions) == (244_014, 409_484)
    assert found.reached == {v.property for v in plain.verdicts if v.method == "reached"}
    assert "mtpo.reach-gated" in found.reached and found.reached < {p.id for p in mtpo.role("reachable")}


# -- bounds --------------------------------------------------------------------------------------------------------


def test_states_survive_packing() -> None:
    instance, roots = mtpo_instance(2, 1, 2)
    packing = Packing(instance)
    rows = np.array([list(root) for root in roots])
    packed = packing.pack(rows)
    assert packed.shape == (len(rows), packing.words)
    assert (packing.unpack(packed) == rows).all()
    with pytest.raises(TooWide):
        Packing(counters(2), int_bits=4).pack(np.array([[99] + [0] * (counters(2).width - 1)]))


def counting(first: int, by: int, until: int, guard: Any = lambda x: x) -> Instance:
    spec = Spec("count")
    x = spec.var("x", to=Int, init=lambda: first)

    @spec.action
    def go() -> None:
        require("small", guard(x()) <= until)
        x.becomes(x() + by)

    spec.invariant("count.small")(lambda: x() <= until)
    return Instance(spec, {})


@pytest.mark.parametrize("first", [0, -3, 1 << 33])
@pytest.mark.parametrize("by", [1 << 8, 1 << 32, 1 << 60, (1 << 32) - 1])
def test_an_integer_is_never_cut_off(first: int, by: int) -> None:
    """Of 32 bits the low ones alone would be small again."""
    found = search_compiled(counting(first, by, first + 5), limit=100, jit=False)
    assert found.violated is not None
    assert [state[0] for state in found.violated.states] == [first, first + by]


def test_negative_integers() -> None:
    spec = Spec("down")
    x = spec.var("x", to=Int, init=lambda: 0)

    @spec.action
    def step() -> None:
        require("more", x() > -1000)
        x.becomes(x() - 1)

    spec.reachable("down.far")(lambda: x() == -1000)
    found = search_compiled(Instance(spec, {}), limit=10_000, jit=False)
    assert (found.complete, found.states, found.reached) == (True, 1001, {"down.far"})
    packing = Packing(Instance(spec, {}), 8, signed=True)
    rows = np.array([[-128], [-1], [0], [127]])
    assert (packing.unpack(packing.pack(rows)) == rows).all()
    for far in (-129, 128):
        with pytest.raises(TooWide):
            packing.pack(np.array([[far]]))


@pytest.mark.parametrize(
    ("instance", "message"),
    [
        (counting(0, 1 << 62, 1 << 70), "may leave 64 bits"),
        (counting(10**30, 1, 5), "an integer of the initial state needs more than the 62 bits"),
        (counting(1 << 62, 1, 5), "an integer, 4611686018427387904, needs more than the 62 bits"),
        (counting(1 << 40, 1, 5, lambda x: x * (1 << 40)), "`x \\* 1099511627776` may leave 64 bits"),
    ],
)
def test_an_integer_beyond_64_bits_is_refused(instance: Instance, message: str) -> None:
    with pytest.raises(InstanceError, match=f"^count: .*{message}.* explore with --engine python"):
        search_compiled(instance, limit=100, jit=False)


def test_a_constant_beyond_64_bits_is_refused() -> None:
    spec = Spec("big")
    most, x = spec.const("most", to=Int), spec.var("x", init=lambda: False)
    spec.invariant("big.i")(lambda: x() | (most() > 0))
    with pytest.raises(InstanceError, match=r"^big: a value of `most` is beyond 64 bits"):
        compile_kernel(Instance(spec, {}, {"most": [10**30]}), jit=False)


def test_more_variables_than_loops_may_be_nested() -> None:
    """A quantifier over 22, an update of 7 arguments under a choice of 16 cells."""
    spec = Spec("many")
    v = spec.var("v", *[Process] * 7, init=lambda *p: False)

    @spec.action(out=function(*[Process] * 4))
    def hand(out: Any) -> None:
        require("one", forall(*[Process] * 4, lambda a, b, c, d: out(a, b, c, d) == (a == b) & (b == c) & (c == d)))
        v.becomes(lambda a, b, c, d, e, f, g: out(a, b, c, d) & (d == g))

    names = [f"x{i}" for i in range(22)]
    body = eval(f"lambda {', '.join(names)}: v({', '.join(names[:7])}) | ~v({', '.join(names[-7:])})", {"v": v})
    spec.lemma("many.l")(lambda: exists(*[Process] * 22, body))
    instance = Instance(spec, {Process: 2})
    found = search_compiled(instance, limit=100, jit=False)
    (after,) = [row for _, row in successors(instance, instance.freeze(instance.initial()))]
    assert (found.complete, found.states, found.violated) == (True, 2, None)
    assert sum(after) == 2 * 4
    assert instance.violated(after) == []
    with pytest.raises(InstanceError, match=r"many: exists x0, .* is over 4,194,304 points, at most 1,000,000"):
        explore(instance)


def test_renamings_keep_what_the_constants_tell_apart() -> None:
    """Objects with different initial values are not interchangeable; values with a constant are fixed."""
    sizes: dict[type[Sort], int] = {Agent: 1, Call: 2, Object: 2, Value: 2}
    given_ = {"origin": [0], "author": [0, 0], "given": [0, 1], "accepts": [0] * 8}
    instance = Instance(mtpo, sizes, given_, open=("reads", "writes", "invertible", "replay"))
    renamings = symmetry_of(instance).renamings
    assert len(renamings) == 2
    assert all((r[Object] == (0, 1)) == (r[Value] == (0, 1)) for r in renamings), "both are swapped or neither"
    equal = Instance(mtpo, sizes, {**given_, "given": [0, 0]}, open=instance.open)
    assert [r[Value] for r in symmetry_of(equal).renamings] == [(0, 1)] * 2


def test_too_many_renamings_are_refused() -> None:
    assert math.factorial(8) > MAX_GROUP
    with pytest.raises(InstanceError, match="40,320 renamings"):
        symmetry_of(counters(8))
