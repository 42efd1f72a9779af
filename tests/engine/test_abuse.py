"""Random decisions and random requests, most of them nonsense, against a small engine.

Nothing but an EngineError comes out, a refusal changes nothing, and after each the KV cache is as the spec has it and a
good request is answered as by a fresh engine.
"""

from __future__ import annotations

import functools

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from mtpo.engine.engine import Engine  # noqa: E402
from mtpo.engine.errors import EngineError  # noqa: E402
from mtpo.engine.model import Llama  # noqa: E402
from mtpo.engine.sampler import Sampling  # noqa: E402
from mtpo.schedulers.step.sarathi import Sarathi  # noqa: E402
from mtpo.schedulers.types import StepDecision, Work  # noqa: E402

from .conftest import random_files  # noqa: E402

SIZE, PEOPLE = 2, 4
MODEL = Llama(random_files())
COMMON = (1, 0, 2, 1, 1, 0, 2, 2, 0, 1)
GOOD = COMMON[:5]
PROMPTS = (COMMON, COMMON, tuple(range(20, 30)), tuple(range(40, 50)))
"""Two people begin alike, and like the good request."""

JUNK = st.sampled_from(
    [None, True, False, -1, 0, 1.0, 1.5, float("nan"), float("inf"), 2**70, 10**400, "a", b"ab", [], {}, (), object()]
)
SMALL = st.integers(-1, 5)
IDS = SMALL | SMALL | SMALL | JUNK
WORK = st.builds(Work, IDS, st.integers(1, 4) | st.integers(-1, 12) | JUNK)
DECISIONS = (
    st.builds(
        StepDecision,
        st.lists(WORK, max_size=4).map(tuple) | st.lists(WORK | JUNK, max_size=3) | JUNK,
        st.just(()) | st.lists(IDS, max_size=3).map(tuple) | JUNK,
    )
    | JUNK
    | st.lists(WORK, max_size=2)
    | st.sampled_from([ZeroDivisionError("no"), KeyError([]), EngineError("two\nlines")])
)
TOKENS = st.lists(st.integers(0, 2), max_size=8) | st.lists(st.integers(-1, 97) | JUNK, max_size=3) | JUNK
OPTIONS = st.fixed_dictionaries(
    {"max_new": st.integers(1, 5) | st.integers(-1, 40) | JUNK},
    optional={
        "forced": st.none() | TOKENS,
        "stop": TOKENS,
        "sampling": st.none() | JUNK,
        "ttft_slo": JUNK,
        "tpot_slo": st.floats() | JUNK,
    },
)
SETTINGS = st.tuples(st.floats(0, 2) | st.floats() | JUNK, st.floats(0.1, 1) | st.floats() | JUNK, SMALL | JUNK)
LENGTHS = st.lists(st.integers(1, 10) | st.just(10), min_size=PEOPLE, max_size=PEOPLE)


@attrs.define
class Puppet:
    """Returns a decision, or raises it."""

    decision: object

    def decide(self, observation):
        if isinstance(self.decision, Exception):
            raise self.decision
        return self.decision


@attrs.frozen
class Only:
    """Serves one request; the others give way, newest first, where they must."""

    id: int
    cap: int

    def decide(self, observation):
        (one,) = [r for r in (*observation.running, *observation.waiting) if r.id == self.id]
        others = [r.id for r in observation.running if r.id != self.id]
        full = observation.blocks_for(one, one.remaining) > observation.free_blocks
        if full and others:
            return StepDecision((), tuple(others))
        return StepDecision((Work(self.id, min(one.remaining, self.cap)),))


@functools.cache
def alone(tokens, new):
    """What a fresh engine says."""
    engine = Engine(MODEL, blocks=64, block_size=SIZE)
    engine.submit(engine.open(), tokens, max_new=new)
    emitted = []
    while engine.busy:
        emitted += [result.emitted for result in engine.step().ended]
    return emitted[0]


def state(engine):
    """All that a refusal must leave as it is."""
    manager = engine.manager
    known = {
        c.id: (tuple(c.tokens), c.computed, c.turn and (id(c.turn), len(c.turn.emitted))) for c in engine._open.values()
    }
    queues = [[c.id for c in queue] for queue in (engine._running, engine._waiting)]
    tables = {owner: tuple(table) for owner, table in manager.tables.items()}
    return (
        engine.number,
        known,
        queues,
        tables,
        tuple(manager.free),
        tuple(manager.cached),
        tuple(manager.references),
        tuple(manager.hashes),
        tuple(engine.monitor.state),
    )


class Session:
    """An engine, and what it is asked; every call may be refused, what is accepted is carried out."""

    def __init__(self, blocks, cap):
        self.room, self.cap = blocks * SIZE, cap
        self.engine = Engine(MODEL, blocks=blocks, block_size=SIZE, max_tokens=cap, max_conversations=PEOPLE + 1)
        self.greedy = {}
        """Of conversations that generate greedily: what they began with."""
        for _ in range(PEOPLE):
            self.engine.open()

    def attempt(self, call):
        """What came of it; None for a refusal, which is one line and changes nothing."""
        before = state(self.engine)
        try:
            return call() or True
        except EngineError as error:
            assert "\n" not in str(error) and str(error)
            assert state(self.engine) == before
            return None

    def submit(self, id, tokens, options):
        self.attempt(lambda: self.engine.submit(id, tokens, **options))

    def submit_odd(self, id, value, where):
        """Good but for one value, at one place."""
        self.start_over(id)
        tokens, options = [1, 2], {"max_new": 2}
        if where == "prompt":
            tokens.append(value)
        else:
            options[where] = value if where == "max_new" else [3, value]
        done = self.attempt(lambda: self.engine.submit(id, tokens, **options))
        assert bool(done) == (type(value) is int and value == 0 and where != "max_new")

    def submit_sampled(self, id, values):
        try:
            sampling = Sampling(*values)
        except EngineError as error:
            assert "\n" not in str(error)
            return
        self.attempt(lambda: self.engine.submit(id, COMMON[:3], max_new=2, sampling=sampling))

    def stop(self, id):
        if self.attempt(lambda: self.engine.stop(id)):
            self.greedy.pop(id, None)

    def start_over(self, id):
        self.engine.close(id)
        self.greedy.pop(id, None)
        assert self.engine.open() == id

    def ask(self, lengths, new):
        """Whoever is idle asks for something good, as far as the cache may ever hold it."""
        seen = self.engine._observe()
        generating = {r.id for r in (*seen.running, *seen.waiting)}
        for id, length in enumerate(lengths):
            if id in generating:
                continue
            if self.engine.length(id) + length + new > self.room:
                self.start_over(id)
            self.engine.submit(id, PROMPTS[id][:length], max_new=new)
            self.greedy[id] = tuple(self.engine._open[id].tokens)

    def step(self, policy):
        self.engine.policy = policy
        report = self.attempt(self.engine.step)
        for result in report.ended if report else ():
            begin = self.greedy.pop(result.conversation, None)
            assert begin is None or result.emitted == alone(begin, len(result.emitted))
        return report

    def decide(self, lengths, new, decision):
        self.ask(lengths, new)
        self.step(Puppet(decision))

    def decide_almost_well(self, lengths, new, work, preempt):
        """Real requests, about what they have to compute, and any preemptions: all good, or but for one thing."""
        self.ask(lengths, new)
        seen = self.engine._observe()
        requests = (*seen.running, *seen.waiting)
        asked = [(requests[at % len(requests)], share) for at, share in work]
        given = tuple(
            Work(r.id, share if isinstance(share, float) else -(-r.remaining * share // 3)) for r, share in asked
        )
        running = [r.id for r in seen.running]
        self.step(Puppet(StepDecision(given, tuple(running[at % len(running)] for at in preempt if running))))

    def step_well(self, budget, times):
        for _ in range(times):
            assert self.step(Sarathi(budget)) is not None

    def probe(self):
        """A good request is answered as by a fresh engine, and the cache is as the spec has it."""
        self.engine.monitor.check()
        id = self.engine.open()
        self.engine.submit(id, GOOD, max_new=2)
        found, steps = [], 0
        while not found:
            steps += 1
            assert steps < 20, "a good request makes no progress"
            found = [r.emitted for r in self.step(Only(id, self.cap)).ended if r.conversation == id]
        assert found == [alone(GOOD, 2)]
        self.engine.close(id)
        self.engine.monitor.check()

    def finish(self):
        """What is under way ends, and every block comes back."""
        steps = 0
        while self.engine.busy:
            self.step_well(9, 1)
            steps += 1
            assert steps < 500, "nobody makes progress"
        for id in range(PEOPLE):
            self.engine.close(id)
        assert self.engine.manager.available * SIZE == self.room
        self.engine.monitor.check()


def op(name, *values):
    return st.tuples(st.just(name), *values)


INDEX, PERSON, NEW = st.integers(0, 7), st.integers(0, PEOPLE - 1), st.integers(1, 5)
SHARE = st.sampled_from([3, 3, 3, 3, 3, 3, 3, 2, 1, 1, 1, 4, 1.0])
"""Thirds of what a request has to compute, or one token as a float."""
BATCH = st.tuples(*(st.tuples(st.just(at), SHARE) for at in range(PEOPLE)))
ALMOST = (
    LENGTHS,
    NEW,
    st.lists(st.tuples(INDEX, SHARE), max_size=4) | BATCH,
    st.just([]) | st.lists(INDEX, max_size=2),
)
OPS = st.one_of(
    op("submit", IDS, TOKENS, OPTIONS),
    op("submit_odd", PERSON, JUNK, st.sampled_from(["prompt", "forced", "stop", "max_new"])),
    op("submit_sampled", PERSON, SETTINGS),
    op("stop", IDS),
    op("start_over", PERSON),
    op("decide", LENGTHS, NEW, DECISIONS),
    op("decide_almost_well", *ALMOST),
    op("decide_almost_well", *ALMOST),
    op("step_well", st.integers(1, 9), st.integers(1, 3)),
)


@settings(max_examples=16, deadline=None)
@given(st.integers(8, 12), st.sampled_from([9, 64]), st.lists(OPS, min_size=12, max_size=20))
def test_nonsense_is_refused_and_the_engine_goes_on(blocks, cap, ops):
    session = Session(blocks, cap)
    for name, *values in ops:
        getattr(session, name)(*values)
        session.probe()
    session.finish()
