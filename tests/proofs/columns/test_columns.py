"""A spec in columns says what the others say: on random specs and on ours, with every library of arrays."""

from __future__ import annotations

import functools
import sys
from collections import Counter
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from mtpo.proofs.columns.arrays import Arrays, NoDevice, arrays_of
from mtpo.proofs.columns.batches import new_batches, run
from mtpo.proofs.columns.circuit import Circuit
from mtpo.proofs.columns.columnar import search_columns
from mtpo.proofs.columns.columns import columns_of, transpose
from mtpo.proofs.columns.grounding import MAX_STEPS
from mtpo.proofs.exploration.compiled import search_compiled
from mtpo.proofs.exploration.explore import Exploration, explore
from mtpo.proofs.exploration.instances import every_instance, mtpo_instance
from mtpo.proofs.exploration.packing import Packing
from mtpo.proofs.exploration.rows import integers, layout, successors
from mtpo.spec.concrete import Instance, InstanceError, evaluate
from mtpo.spec.language import Int, Spec, forall, function, require
from mtpo.spec.paged_kv import kv
from tests.spec import counter, lock, random_specs
from tests.spec.shaky import Process, shaky

pytestmark = pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")  # hashes wrap around


QUICK = settings(deadline=None, suppress_health_check=list(HealthCheck))


def counters(processes: int) -> Instance:
    return Instance(counter.counter, {counter.Process: processes})


@pytest.fixture(params=["numpy", "torch", "cupy"])
def arrays(request: pytest.FixtureRequest) -> Arrays:
    try:
        return arrays_of(request.param)
    except (NoDevice, ModuleNotFoundError) as error:
        pytest.skip(str(error))


# -- one spec, the same meaning ------------------------------------------------------------------------------------


def bits(plane: Any, lane: int) -> bool:
    return bool(int(plane[0]) >> lane & 1)


@given(random_specs.cases())
@settings(QUICK, max_examples=80)
def test_the_program_takes_the_steps_that_the_reference_takes(case: Any) -> None:
    """Two states, in lanes 0 and 1 of a word: guards, updates, whether integers fit, and all properties."""
    instance: Instance = case.instance
    reached = [after for row in (case.before, case.after) for _, after in successors(instance, row)]
    wide, signed = layout(instance, integers(instance, [case.before, case.after, *reached]))
    packing = Packing(instance, wide, signed)
    columns = columns_of(packing)

    def planes(*rows: Any) -> Any:
        block = np.zeros((packing.words, 64, 1), dtype=np.int64)
        block[:, : len(rows), 0] = packing.pack([list(row) for row in rows]).view(np.int64).T
        return transpose(block).reshape(-1, 1)

    s = planes(case.before, case.after)
    guards = np.zeros((len(columns.moves), 1), dtype=np.int64)
    columns.guards(s, guards)
    for lane, row in enumerate((case.before, case.after)):
        got = Counter[Any]()
        for number, move in enumerate(columns.moves):
            if bits(guards[number], lane):
                t, fits = s.copy(), np.full((1, 1), -1, dtype=np.int64)
                columns.steps(s, t, fits, np.arange(len(columns.moves)) == number)
                assert bits(fits[0], lane)
                words = transpose(t.reshape(packing.words, 64, 1))[:, lane].T.copy().view(np.uint64)
                got[move.step, tuple(map(int, packing.unpack(words)[0]))] += 1
        assert got == Counter((step, tuple(after)) for step, after in successors(instance, row))
    out = np.zeros((1, 1), dtype=np.int64)
    columns.holds(s, out)
    (state,), (step,) = case.spec.role("invariant", "lemma"), case.spec.role("step")
    assert bits(out[0], 0) == bool(evaluate(state.formula, instance, case.before, {}))
    columns.allows(s, planes(case.after, case.before), out)
    assert bits(out[0], 0) == bool(evaluate(step.formula, instance, case.before, {}, case.after))


def same_exploration(case: Any, arrays: Arrays, lanes: int) -> None:
    given_ = case.instance
    bare = Instance(case.spec.without(properties={}), given_.sizes, given_.constants, open=given_.open)
    for instance in (given_, bare):
        roots = [instance.freeze(instance.initial(case.chosen)), case.before, case.after]
        plain = explore(instance, roots, limit=200)
        try:
            found = search_columns(instance, roots, limit=200, arrays=arrays, lanes=lanes)
        except InstanceError as error:  # one that doubles with each step, say
            assert "needs more than the 62 bits" in str(error)
            continue
        bad = next((v.trace for v in plain.verdicts if v.trace), None)
        if bad is None and not plain.complete:
            continue  # where it stops depends on the size of batches
        assert (found.violated is None) == (bad is None)
        assert found.complete == plain.complete
        if bad is not None and found.violated is not None:
            assert len(found.violated.steps) == len(bad.steps)
            assert instance.violated(found.violated.states[-1]) or instance.violated_step(*found.violated.states[-2:])
        else:
            assert (found.initial, found.states, found.transitions) == (plain.initial, plain.states, plain.transitions)
            assert (found.depth, found.taken) == (plain.depth, plain.taken)


@given(random_specs.cases())
@settings(QUICK, max_examples=50)
def test_an_exploration_of_a_random_spec_ends_as_the_plain_one_does(case: Any) -> None:
    """In batches of one state, too: nothing depends on who is expanded with whom."""
    same_exploration(case, arrays_of("numpy"), 1)
    same_exploration(case, arrays_of("numpy"), 100)


@given(random_specs.cases())
@settings(QUICK, max_examples=15)
def test_so_does_one_with_torch(case: Any) -> None:
    pytest.importorskip("torch")
    same_exploration(case, arrays_of("torch"), 100)


@functools.cache
def plainly(case: str) -> tuple[Instance, Any, Exploration]:
    if case == "counter":
        instance, roots = counters(3), None
    elif case == "lock":
        instance, roots = every_instance(lock.lock, dict.fromkeys(lock.lock.sorts, 3))
    elif case == "kv":
        instance, roots = every_instance(kv, dict.fromkeys(kv.sorts, 2))
    else:
        instance, roots = mtpo_instance(2, 1, 1, faults=case != "mtpo")
    return instance, roots, explore(instance, roots)


@pytest.mark.parametrize(
    "case", ["counter", "lock", "kv", "mtpo", pytest.param("mtpo with faults", marks=pytest.mark.slow)]
)
def test_columns_find_what_the_plain_exploration_finds(case: str, arrays: Arrays) -> None:
    instance, roots, plain = plainly(case)
    found = search_columns(instance, roots, limit=10**9, arrays=arrays, lanes=5000)
    assert found.complete
    assert found.violated is None
    assert (found.initial, found.states, found.transitions) == (plain.initial, plain.states, plain.transitions)
    assert (found.depth, found.taken) == (plain.depth, plain.taken)
    assert found.reached == {v.property for v in plain.verdicts if v.method == "reached"}


def test_the_counter_has_the_states_that_every_engine_finds() -> None:
    """2,986,377 states and 8,106,620 steps for four processes, as Spin, TLC and Rumur find."""
    found = search_columns(counters(4), limit=10**9, arrays=arrays_of("numpy"))
    assert (found.states, found.transitions, found.depth) == (2_986_377, 8_106_620, 24)
    assert found.bytes_per_state is not None
    assert found.bytes_per_state <= 32


@pytest.mark.parametrize("case", ["counter", "mtpo"])
def test_symmetry_leaves_what_the_compiled_exploration_leaves(case: str) -> None:
    instance, roots = (counters(3), None) if case == "counter" else mtpo_instance(1, 1, 2)
    compiled = search_compiled(instance, roots, limit=10**9, symmetry=True, jit=False)
    found = search_columns(instance, roots, limit=10**9, symmetry=True, arrays=arrays_of("numpy"), lanes=1000)
    assert attrs.evolve(found, bytes_per_state=None) == attrs.evolve(compiled, bytes_per_state=None)
    assert found.renamings > 1


def test_of_the_counter_one_state_in_21_is_left() -> None:
    found = search_columns(counters(4), limit=10**9, symmetry=True, arrays=arrays_of("numpy"))
    assert (found.renamings, found.states, found.transitions) == (24, 141_271, 382_739)


# -- counterexamples -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("symmetry", [False, True])
@pytest.mark.parametrize("lanes", [1, 64, 1000])
def test_a_counterexample_is_a_shortest_run(lanes: int, symmetry: bool) -> None:
    instance, numpy = Instance(shaky(10), {Process: 3}), arrays_of("numpy")
    found = search_columns(instance, limit=10**6, arrays=numpy, lanes=lanes, symmetry=symmetry).violated
    assert found is not None
    assert [step.action for step in found.steps] == ["add", "add"]
    assert [p.id for p in found.instance.violated(found.states[-1])] == ["shaky.small"]
    for number, step in enumerate(found.steps):
        after = list(found.states[number])
        assert found.instance.enabled(after, step)
        found.instance.perform(after, step)
        assert tuple(after) == tuple(found.states[number + 1])


def test_a_state_of_the_level_goes_before_a_step_from_it() -> None:
    """In batches of one state the step from the first is seen before the second state is looked at."""
    spec = Spec("two")
    x = spec.var("x", to=Int, init=lambda: 0)

    @spec.action
    def one() -> None:
        require("start", x() == 0)
        x.becomes(1)

    @spec.action
    def two() -> None:
        require("start", x() == 0)
        x.becomes(2)

    @spec.action
    def back() -> None:
        require("one", x() == 1)
        x.becomes(0)

    spec.invariant("two.not-two")(lambda: x() != 2)
    spec.step_property("two.up")(lambda: x.next() > x())
    found = search_columns(Instance(spec, {}), limit=100, arrays=arrays_of("numpy"), lanes=1).violated
    assert found is not None
    assert [step.action for step in found.steps] == ["two"]


def test_a_violated_step_is_shown_with_the_step() -> None:
    spec = shaky(1000)

    @spec.action
    def forget() -> None:
        done = spec.variables["done"]
        require("all", forall(Process, lambda p: done(p)))
        done.becomes(lambda p: False)

    found = search_columns(Instance(spec, {Process: 2}), limit=10**6, arrays=arrays_of("numpy")).violated
    assert found is not None
    assert [step.action for step in found.steps] == ["add", "add", "forget"]
    assert [p.id for p in found.instance.violated_step(*found.states[-2:])] == ["shaky.stays"]


# -- integers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("processes", "total"), [(3, 15), (4, 20)])
def test_an_integer_gets_the_bits_that_it_needs(processes: int, total: int, arrays: Arrays) -> None:
    """4 at first: the search is made again with more."""
    found = search_columns(Instance(shaky(1000), {Process: processes}), limit=10**6, arrays=arrays)
    assert found.states == 2**processes, total
    assert found.reached == {"shaky.two"}


@pytest.mark.parametrize("first", [0, -3, 1 << 33])
@pytest.mark.parametrize("by", [1 << 8, 1 << 32, 1 << 60, (1 << 32) - 1])
def test_an_integer_is_never_cut_off(first: int, by: int) -> None:
    found = search_columns(counting(first, by, first + 5), limit=100, arrays=arrays_of("numpy"))
    assert found.violated is not None
    assert [state[0] for state in found.violated.states] == [first, first + by]


def counting(first: int, by: int, until: int, guard: Any = lambda x: x) -> Instance:
    spec = Spec("count")
    x = spec.var("x", to=Int, init=lambda: first)

    @spec.action
    def go() -> None:
        require("small", guard(x()) <= until)
        x.becomes(x() + by)

    spec.invariant("count.small")(lambda: x() <= until)
    return Instance(spec, {})


def test_what_is_written_over_need_not_fit() -> None:
    """All cells get a number that is too large, then one of them another: only what is left counts."""
    spec = Spec("over")
    first = spec.const("first", to=Process)
    x = spec.var("x", Process, to=Int, init=lambda p: 0)
    at = spec.var("at", to=Process, init=lambda: first())

    @spec.action
    def go() -> None:
        x.becomes(lambda p: x(p) + (1 << 70))
        x[at()] = 7

    found = search_columns(Instance(spec, {Process: 1}, {"first": [0]}), limit=9, arrays=arrays_of("numpy"))
    assert (found.complete, found.states, found.transitions) == (True, 2, 2)


def test_what_a_guard_computes_may_leave_64_bits() -> None:
    """Only what a cell keeps must fit: this product does not fit anywhere else."""
    found = search_columns(counting(1 << 40, 1, 1 << 41, lambda x: x * (1 << 40)), limit=9, arrays=arrays_of("numpy"))
    assert (found.states, found.transitions) == (1, 0)


def test_negative_integers() -> None:
    spec = Spec("down")
    x = spec.var("x", to=Int, init=lambda: 0)

    @spec.action
    def step() -> None:
        require("more", x() > -300)
        x.becomes(x() - 1)

    spec.reachable("down.far")(lambda: x() == -300)
    found = search_columns(Instance(spec, {}), limit=10_000, arrays=arrays_of("numpy"))
    assert (found.complete, found.states, found.reached) == (True, 301, {"down.far"})


@pytest.mark.parametrize(
    ("instance", "message"),
    [
        (counting(10**30, 1, 5), "an integer of the initial state needs more than the 62 bits"),
        (counting(1 << 62, 1, 5), "an integer, 4611686018427387904, needs more than the 62 bits"),
        (counting(0, 1 << 62, 1 << 70), "an integer, 4611686018427387904, needs more than the 62 bits"),
    ],
)
def test_an_integer_beyond_a_cell_is_refused(instance: Instance, message: str) -> None:
    with pytest.raises(InstanceError, match=f"^count: .*{message}.* --engine python$"):
        search_columns(instance, limit=100, arrays=arrays_of("numpy"))


def test_numbers_of_a_circuit_are_those_of_python() -> None:
    """Every pair of small constants, as bits that are not known."""
    circuit = Circuit()
    from mtpo.proofs.columns.circuit import Number, constant

    for a in range(-5, 6):
        for b in range(-5, 6):
            x, y = constant(a), constant(b)
            for op, number in (("+", circuit.plus(x, y)), ("-", circuit.minus(x, y)), ("*", circuit.times(x, b))):
                assert isinstance(number, Number)
                value = eval(f"a {op} b", {"a": a, "b": b})
                assert number.bits == tuple(value >> n & 1 for n in range(len(number.bits)))
                assert (number.low, number.high) == (value, value)
            assert circuit.below(x, y) == (a < b)
            assert circuit.below(x, y, True) == (a <= b)
            assert circuit.equal(x, y) == (a == b)


# -- bounds --------------------------------------------------------------------------------------------------------


def test_a_search_stops_at_its_limit() -> None:
    found = search_columns(counters(3), limit=1000, arrays=arrays_of("numpy"), lanes=64)
    assert not found.complete
    assert found.violated is None
    assert 1000 < found.states <= 1000 + 64 * 6


def test_initial_states_count_against_the_limit() -> None:
    instance, roots = every_instance(lock.lock, dict.fromkeys(lock.lock.sorts, 3))
    found = search_columns(instance, roots, limit=0, arrays=arrays_of("numpy"))
    assert (found.complete, found.transitions) == (False, 0)


def test_a_small_table_is_made_larger() -> None:
    """Every state stays found once, however often there is more room."""
    instance = counters(3)
    packing = Packing(instance)
    search = new_batches(columns_of(packing), arrays_of("numpy"), packing.pack([instance.initial()]), lanes=64)
    run(search, 10**9, lambda states, left: None)
    kept = search.kept(list(range(search.count)))
    assert len(np.unique(kept)) == search.count == 26_260
    assert search.table.shape[0] > 1 << 12
    assert sorted(v for v in search.table.tolist() if v) == list(range(1, search.count + 1))


def test_more_choices_than_a_program_takes_are_refused() -> None:
    spec = Spec("wide")
    v = spec.var("v", init=lambda: False)

    @spec.action(out=function(Process, Process))
    def hand(out: Any) -> None:
        v.becomes(forall(Process, Process, lambda p, q: out(p, q)))

    spec.invariant("wide.v")(lambda: v() | ~v())
    assert MAX_STEPS < 2**25
    with pytest.raises(InstanceError, match=r"^wide: more than 20,000 choices of arguments: .* --engine compiled$"):
        search_columns(Instance(spec, {Process: 5}), limit=9, arrays=arrays_of("numpy"))


def test_choices_that_the_guard_excludes_are_never_made() -> None:
    """Of 2^25 tables the guard leaves one: each clause is tested as soon as the cells that it needs are chosen."""
    spec = Spec("narrow")
    v = spec.var("v", init=lambda: False)

    @spec.action(out=function(Process, Process))
    def hand(out: Any) -> None:
        require("diagonal", forall(Process, Process, lambda p, q: out(p, q) == (p == q)))
        v.becomes(True)

    found = search_columns(Instance(spec, {Process: 5}), limit=9, arrays=arrays_of("numpy"))
    assert (found.states, found.transitions) == (2, 2)


# -- devices -------------------------------------------------------------------------------------------------------


def test_cupy_without_a_gpu_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    class Runtime:
        @staticmethod
        def getDeviceCount() -> int:
            raise RuntimeError("no driver")

    cuda = type(sys)("cupy.cuda")
    cuda.runtime = Runtime  # type: ignore[attr-defined]
    module = type(sys)("cupy")
    module.cuda = cuda  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cupy", module)
    with pytest.raises(NoDevice, match=r"needs a GPU, and CuPy finds none \(no driver\); choose --engine numpy"):
        arrays_of("cupy")
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(NoDevice, match=r"needs CuPy .*pip install .*; choose --engine numpy"):
        arrays_of("cupy")


def test_torch_without_a_gpu_says_that_it_runs_on_the_processor() -> None:
    torch = pytest.importorskip("torch")
    found = arrays_of("torch")
    assert (found.device, bool(found.note)) == (("cuda", False) if torch.cuda.is_available() else ("cpu", True))
