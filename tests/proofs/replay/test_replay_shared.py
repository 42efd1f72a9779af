"""Replay by several processes, a stretch of the log each: they find what one finds, whatever becomes of them."""

from __future__ import annotations

import gc
import itertools
import multiprocessing
import os
import random
import signal
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtpo.proofs.replay import relay
from mtpo.proofs.replay.numbering import Numbering
from mtpo.proofs.replay.replay import Run, Sparse, replay
from mtpo.spec.records import Record, value_digest
from mtpo_core.machine import Policy
from mtpo_core.problems import Problem
from tests.proofs.generated import Records, generated, mutated


def in_stretches(records: Records, starts: list[int]) -> tuple[int, Any]:
    """What several replay, one after the other, each from where it begins to look; what each begins with is what the
    one before ends with."""
    numbering, place, before = Numbering(records, value_digest(b"salt", None)), 0, b""
    run: Run | None = None
    for start, end in itertools.pairwise([0, *starts, len(records)]):
        spec = Sparse(numbering, numbering.incremental(checked=False) if start else None)
        run = Run(numbering, spec)
        for record in records[:start]:
            run.skim(record)
        if start:
            assert relay.digest_of(run, spec) == before
            spec = Sparse(numbering, spec.spec.going_on())
            run = run.going_on(spec)
        place = relay.go(records, run, start, lambda end=end: end, lambda place: None)  # type: ignore[misc]
        if run.problems:
            break
        before = relay.digest_of(run, spec)
    assert run is not None
    return run.steps, (tuple(run.problems), place if run.problems else None, place if run.unmatched else None)


@pytest.mark.parametrize("policy", Policy)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), changes=st.integers(0, 2), count=st.integers(1, 3))
def test_several_find_what_one_finds(policy: Policy, seed: int, changes: int, count: int) -> None:
    chance = random.Random(seed)
    records = generated(chance.randrange(20, 160), seed, policy, at_work=3, calls=6, near=3)
    for _ in range(changes):
        records = mutated(list(records), chance)
    starts = sorted(chance.sample(range(1, len(records)), count - 1))
    try:
        found = replay(records, absent=value_digest(b"salt", None))
    except (KeyError, IndexError, ValueError):  # it names what it does not introduce: whoever looks first is stopped
        return
    try:
        others = in_stretches(records, starts)
    except (KeyError, IndexError, ValueError):
        assert found.problems  # before the place where one begins to look
        return
    assert others == (found.steps, (found.problems, found.stopped, found.refused))


class Deliberate(relay.Board):
    """Stretches of equal length, for which the process before waits."""

    def due(self, number: int, place: int) -> bool:
        return place >= self.total * number // self.count

    def start(self, number: int) -> int:
        if multiprocessing.parent_process() is not None:
            return super().start(number)
        until = self.began + 10
        while not (found := super().start(number)) and time.monotonic() < until:
            time.sleep(0.001)
        return found


@pytest.fixture
def deliberate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "Board", Deliberate)
    monkeypatch.setattr(relay, "CHUNK", 16)


LONGER = generated(600, 5, Policy.REPLAY, at_work=3, calls=6, near=3)


@pytest.mark.usefixtures("deliberate")
@pytest.mark.parametrize("jobs", [2, 3])
@pytest.mark.parametrize("place", [None, 90, 250, 350, 590])
def test_processes_find_what_one_finds(jobs: int, place: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    records = list(LONGER)
    if place is not None:
        place = next(n for n in range(place, 0, -1) if records[n].kind == "applied")
        records.insert(place, records[place])
    heard = list[Any]()
    rest = relay.Relay.rest
    monkeypatch.setattr(relay.Relay, "rest", lambda *args: heard.append(rest(*args)) or heard[-1])
    told = list[int]()
    found = replay(records, jobs=jobs, progress=lambda done, total: told.append(done))
    assert found == replay(records)
    assert bool(found.problems) == (place is not None)
    assert told == sorted(told)
    assert len(heard) == (found.stopped is None or found.stopped >= len(records) // jobs + 16)
    assert None not in heard


@pytest.mark.usefixtures("deliberate")
@pytest.mark.parametrize("fate", ["killed", "astray", "raised", "stopped"])
def test_a_process_that_is_lost_costs_time_only(fate: str, monkeypatch: pytest.MonkeyPatch) -> None:
    skim, go = Run.skim, relay.go
    parent = os.getpid()

    def astray(run: Run, record: Record) -> None:
        skim(run, record)
        run.steps += record.kind == "settle"

    def late(*args: Any) -> int:
        if os.getpid() != parent:
            if fate == "raised":
                raise ValueError("lost")
            os.kill(os.getpid(), signal.SIGKILL if fate == "killed" else signal.SIGSTOP)
        return go(*args)

    if fate == "astray":
        monkeypatch.setattr(Run, "skim", astray)
    monkeypatch.setattr(relay, "go", late)
    monkeypatch.setattr(relay, "PATIENCE", 0.5)
    why = list[str]()
    leave = relay.Relay.__exit__
    monkeypatch.setattr(relay.Relay, "__exit__", lambda self, *raised: why.append(self.lost) or leave(self, *raised))
    assert replay(LONGER, jobs=2) == replay(LONGER)
    assert why == [
        {
            "killed": "process 1 died",
            "astray": "process 1 began in another state",
            "raised": "process 1: ValueError: lost",
            "stopped": "process 1 stands still",
        }[fate]
    ]


@pytest.mark.usefixtures("deliberate")
@pytest.mark.parametrize("stopped", [False, True])
def test_a_process_that_stops_while_it_tells_much_is_given_up(stopped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a pipe holds: it waits for whoever reads it, and says no more."""
    stretch, rest = relay._stretch, relay.Relay.rest

    def long(*args: Any) -> Iterator[Any]:
        if stopped:
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGSTOP)).start()
        for word in stretch(*args):
            much = Problem("much", "record", "m" * (1 << 20))
            yield attrs.evolve(word, problems=(much,)) if isinstance(word, relay.Ended) else word

    def later(self: relay.Relay, *args: Any) -> Any:
        time.sleep(0.8 if stopped else 0)
        found.append(rest(self, *args))
        why.append(self.lost)
        return found[-1]

    found, why = list[Any](), list[str]()
    monkeypatch.setattr(relay, "_stretch", long)
    monkeypatch.setattr(relay.Relay, "rest", later)
    monkeypatch.setattr(relay, "PATIENCE", 0.5)
    replayed = replay(LONGER, jobs=2)
    if stopped:
        assert (found, why) == ([None], ["process 1 stands still"])
        assert replayed == replay(LONGER)
    else:
        assert [len(problem.what) for problem in found[0].problems] == [1 << 20]


@pytest.mark.usefixtures("deliberate")
@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("lacking", ["processes", "pipes", "memory"])
def test_where_there_is_no_room_for_processes_those_that_there_are_do_it_all(
    lacking: str, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = multiprocessing.get_context("fork")
    owner, name = {
        "processes": (context.Process, "start"),
        "pipes": (type(context), "Pipe"),
        "memory": (relay.mmap, "mmap"),
    }[lacking]
    real, asked = getattr(owner, name), list[object]()

    def refused(*args: Any, **more: Any) -> Any:
        asked.append(args)
        if len(asked) > after or lacking == "memory":
            raise OSError("Resource temporarily unavailable")
        return real(*args, **more)

    expected = replay(LONGER, jobs=1)
    monkeypatch.setattr(owner, name, refused)
    assert replay(LONGER, jobs=3) == expected
    assert len(asked) == (1 if lacking == "memory" else after + 1)


@pytest.mark.usefixtures("deliberate")
def test_an_interrupt_while_processes_begin_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    begin, begun = relay.Relay._begin, list[relay.Relay]()

    def interrupted(self: relay.Relay, number: int) -> None:
        begin(self, number)
        begun.append(self)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(relay.Relay, "_begin", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a process that runs tests may ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            replay(LONGER, jobs=3)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(begun) == 2, "both have begun before it is heard"
    ended = {process.exitcode for process, _ in begun[0]._children}
    assert ended <= {0, -signal.SIGKILL}, "killed, if they were not done: none heard the interrupt, none is left"


def test_the_stretches_end_together() -> None:
    """The first takes 10 of a record, the others 3 until they look, and again to be set up then: all are done at one
    time."""
    for count, first, other in itertools.product((1, 2, 3, 4), (0, 60_000), (0, 20_000)):
        board, clock, places = relay.Board(count, 100_000), [first], list[int]()
        board._now = lambda clock=clock: clock[0]  # type: ignore[assignment,method-assign,misc]
        board.set_up(0)
        for number in range(1, count):
            clock[0], place = other, 0
            board.set_up(number)
            board.reached(0, 0)
            while place == 0 or not board.due(number, place):
                place += 100
                clock[0] += 300
                board.reached(0, max(0, clock[0] - first) // 10)
            places.append(place)
        ends = [first + 10 * (places[0] if places else 100_000)]
        for start, end in itertools.pairwise([*places, 100_000]):
            ends.append(other + 3 * start + first + 10 * (end - start))
        assert max(ends) - min(ends) < 5_000, (count, first, other, places)
        assert places == sorted(places)


def test_a_process_that_is_behind_at_first_may_still_be_faster() -> None:
    """It does not give up for having begun later."""
    numbering = Numbering(LONGER)
    board = relay.Board(2, len(LONGER))
    board.reached(0, 30)
    board.due = lambda number, place: place > 100  # type: ignore[method-assign]
    assert isinstance(next(relay._stretch(LONGER, numbering, 1, board)), tuple)
    board.reached(0, 599)
    assert next(relay._stretch(LONGER, numbering, 1, board)) == "the process before is faster"


def test_a_replay_leaves_nothing_to_a_search_for_garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    made = list[Any]()
    begin = Numbering.__init__
    enable = gc.enable
    noted = lambda self, *given: made.append(weakref.ref(self)) or begin(self, *given)  # noqa: E731
    monkeypatch.setattr(Numbering, "__init__", noted)
    monkeypatch.setattr(gc, "enable", lambda: made.append([one() for one in made]) or enable())
    assert not replay(LONGER, jobs=1).problems
    assert made[1:] == [[None]]


def test_a_short_log_is_replayed_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "processes", lambda: 2)
    monkeypatch.setattr(relay, "_room", lambda: 1)
    found = [relay.jobs(n, ready) for n in (len(LONGER), relay.READY, relay.LONG) for ready in (False, True)]
    assert found == [1, 1, 1, 2, 2, 2]
    monkeypatch.setattr(relay, "_room", lambda: 0)
    assert relay.jobs(10**6) == 1
