"""Replay of a log against the spec: a true log is a run of it; a tampered one is refused, with the clause named."""

from __future__ import annotations

import gc
import importlib.util
import itertools
import json
import multiprocessing
import os
import random
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtpo.proofs import relay
from mtpo.proofs.numbering import Numbering
from mtpo.proofs.replay import Run, Sparse, replay
from mtpo.spec.records import Record, value_digest
from mtpo_core.log import LoggedRun, read_log
from mtpo_core.machine import Policy
from mtpo_core.problems import Problem
from mtpo_core.resources.filesystem import FileSystem
from mtpo_core.resources.filetools import file_tools
from mtpo_core.runtime import Session
from mtpo_core.sync import SyncSession
from mtpo_core.tools import Toolbox, ToolCall

A, B, C = 0, 1, 2


def story(folder: Path, policy: Policy) -> LoggedRun:
    """B and C write x, C reads y; A writes x and y, late. Then everyone is told, finishes and commits; C twice."""
    (folder / "tree").mkdir()
    for name in "xyz":
        (folder / "tree" / name).write_text(f"{name}0\n")
    resource, tools, log = FileSystem(folder / "tree"), Toolbox(file_tools()), folder / "run.mtpo"
    run = SyncSession(lambda: Session.open(resource, tools, log, policy=policy))

    def do(agent: int, tool: str, **args: str) -> None:
        assert run.call(agent, ToolCall(tool, args)).kind == "result"

    for name in "ABC":
        run.launch(name)
    do(A, "read_file", path="x")
    do(B, "read_file", path="z")
    do(B, "append", path="x", content="b\n")  # 1.1
    do(C, "read_file", path="y")  # 2.0
    do(C, "append", path="x", content="c\n")  # 2.1
    do(C, "append", path="z", content="c\n")  # 2.2
    run.finish(C)
    do(A, "append", path="x", content="a\n")  # 0.1: undoes 2.1, then 1.1
    do(A, "append", path="y", content="a\n")  # 0.2: C read y
    run.drain(B)
    do(B, "read_file", path="x")
    run.drain(C)
    run.finish(C)
    run.finish(A)
    run.finish(B)
    assert run.close() == "complete"
    return read_log(log)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[Policy, LoggedRun]:
    return {policy: story(tmp_path_factory.mktemp("story"), policy) for policy in Policy}


@pytest.mark.parametrize("policy", Policy)
def test_a_true_log_is_a_run_of_the_spec(logs: Mapping[Policy, LoggedRun], policy: Policy) -> None:
    run = logs[policy]
    kinds = [record.kind for record in run.records]
    assert kinds.count("undone") == 2
    assert kinds.count("redone" if policy is Policy.REPLAY else "cancelled") == 2
    assert kinds.count("reopen") == 1
    found = replay(run.records)
    assert found.problems == ()
    assert found.steps == sum(kind not in NO_STEPS for kind in kinds)


NO_STEPS = {"run-open", "prepared", "exec", "undo", "redo", "notify", "close", "infer", "judge", "bounce", "gate"}


@pytest.mark.parametrize("policy", Policy)
def test_every_beginning_of_a_log_is_one_too(logs: Mapping[Policy, LoggedRun], policy: Policy) -> None:
    """A run that was cut short is incomplete, not wrong."""
    records = logs[policy].records
    launched = max(n for n, record in enumerate(records) if record.kind == "launch") + 1
    for end in range(launched, len(records), 3):
        assert replay(records[:end]).problems == ()


def test_a_log_without_calls_and_one_without_objects(tmp_path: Path) -> None:
    resource = FileSystem(tmp_path)
    for number, calls in enumerate(((), (ToolCall("read_file", {"path": "../x"}),))):
        path = tmp_path.parent / f"{tmp_path.name}{number}.mtpo"
        run = SyncSession(lambda path=path: Session.open(resource, Toolbox(file_tools()), path))  # type: ignore[misc]
        run.launch("A")
        for call in calls:
            assert run.call(A, call).kind == "refused"
        run.finish(A)
        assert run.close() == "complete"
        assert replay(read_log(path).records).problems == ()


# -- tampering -----------------------------------------------------------------------------------------------------

Records = list[Record]
Tamper = Callable[[Records], Records]


def at(records: Records, kind: str, call: str | None = None, agent: int | None = None, nth: int = 0) -> int:
    """The place of the nth record of a kind (and call, and agent)."""
    found = [
        n
        for n, r in enumerate(records)
        if r.kind == kind and call in (None, r.call) and (agent is None or r.agent == agent)
    ]
    return found[nth]


def drop(kind: str, call: str | None = None, agent: int | None = None, nth: int = 0) -> Tamper:
    def tamper(records: Records) -> Records:
        del records[at(records, kind, call, agent, nth)]
        return records

    return tamper


def edit(kind: str, call: str | None, **body: Any) -> Tamper:
    """Values in the body: what they are, or a function of what was there."""

    def tamper(records: Records) -> Records:
        n = at(records, kind, call)
        old = dict(records[n].body)
        new = {key: value(old[key]) if callable(value) else value for key, value in body.items()}
        records[n] = attrs.evolve(records[n], body={**old, **new})
        return records

    return tamper


def swap(first: tuple[str, str], second: tuple[str, str]) -> Tamper:
    def tamper(records: Records) -> Records:
        a, b = at(records, *first), at(records, *second)
        records[a], records[b] = records[b], records[a]
        return records

    return tamper


def move(which: tuple[str, str | None, int | None], before: tuple[str, str | None, int | None]) -> Tamper:
    def tamper(records: Records) -> Records:
        record = records.pop(at(records, *which))
        records.insert(at(records, *before), record)
        return records

    return tamper


def other_value(saw: Mapping[str, Any]) -> dict[str, Any]:
    return {o: {**sight, "digest": "f" * 64} for o, sight in saw.items()}


def from_write(write: str | None) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    return lambda saw: {o: {**sight, "write": write} for o, sight in saw.items()}


def all_values(out: Mapping[str, str]) -> dict[str, str]:
    return dict.fromkeys(out, "f" * 64)


REPLAY: Mapping[str, tuple[Tamper, str]] = {
    "no members": (edit("call", "0.1", members=[]), "mtpo.call.seeds"),
    "the topmost member dropped": (edit("call", "0.1", members=["1.1"]), "mtpo.call.seeds"),
    "the lower member dropped": (edit("call", "0.1", members=["2.1"]), "mtpo.call.seeds"),
    "a member that is below": (edit("call", "2.1", members=["1.1"]), "mtpo.call.members-live-above"),
    "a member that is only a read": (edit("call", "0.2", members=["2.0"]), "mtpo.call.members-live-above"),
    "a footprint made smaller": (edit("call", "0.1", reads=[], writes=["z"]), "mtpo.call.seeds"),
    "declared without inverse": (edit("call", "1.1", invertible=False), "mtpo.call.gate"),
    "a read of another value": (edit("read", "2.0", saw=other_value), "mtpo.filtered-read"),
    "a read of a write that is above": (edit("read", "0.0", saw=from_write("1.1")), "mtpo.read.is-below"),
    "a read that missed a write": (edit("read", "1.2", saw=from_write("0.1")), "mtpo.read.is-greatest"),
    "a call that saw another value": (edit("applied", "0.1", saw=other_value), "mtpo.filtered-read"),
    "a redo that saw another value": (edit("redone", "2.1", saw=other_value), "mtpo.filtered-read"),
    "a call that left another value": (edit("applied", "1.1", out=all_values), "mtpo.filtered-read"),
    "an inverse that left another value": (edit("undone", "2.1", restored=all_values), "mtpo.top-only-undo"),
    "a change that is not confessed": (edit("redone", "2.1", changed=False), "mtpo.redo-told"),
    "the inverses swapped": (swap(("undone", "2.1"), ("undone", "1.1")), "mtpo.undone.top-only"),
    "an inverse that did not run": (drop("undone", "1.1"), "mtpo.applied.all-undone"),
    "an inverse of what is no member": (move(("undone", "2.1", C), ("call", "0.1", A)), "mtpo.undone.live-member"),
    "the redos swapped": (swap(("redone", "1.1"), ("redone", "2.1")), "mtpo.redone.ascending"),
    "a redo that did not run": (drop("redone", "2.1"), "mtpo.settle.none-pending"),
    "a redo before the late call": (move(("redone", "1.1", B), ("applied", "0.1", A)), "mtpo.redone.after-landing"),
    "the late call dropped": (drop("applied", "0.1"), "mtpo.redone.after-landing"),
    "a call applied twice": (lambda r: [*r[: (n := at(r, "applied", "0.1"))], r[n], *r[n:]], "mtpo.applied.its-turn"),
    "a repair left open": (drop("settle", "1.1"), "mtpo.call.unlocked"),
    "a repair closed before it is complete": (
        move(("settle", "0.1", A), ("redone", "2.1", C)),
        "mtpo.settle.none-pending",
    ),
    "nobody is to be told": (edit("settle", "0.1", stale=[]), "mtpo.settled-told"),
    "one is left out": (edit("settle", "0.1", stale=["1.1"]), "mtpo.settled-told"),
    "a reader is left out": (edit("settle", "0.2", stale=[]), "mtpo.settled-told"),
    "one too many is to be told": (edit("settle", "0.1", stale=["1.0", "1.1", "2.1"]), "mtpo.settled-told"),
    "a notification skipped": (drop("notify", agent=B), "mtpo.settled-told"),
    "a delivery skipped": (drop("deliver", agent=B), "mtpo.read.inbox-empty"),
    "a delivery of nothing": (move(("deliver", None, B), ("call", "0.1", A)), "mtpo.deliver.notified"),
    "a reopening skipped": (drop("reopen"), "mtpo.deliver.at-work"),
    "a reopening too early": (move(("reopen", None, C), ("call", "0.1", A)), "mtpo.reopen.notified"),
    "a call by a finished agent": (move(("finish", None, A), ("call", "0.2", A)), "mtpo.call.author-at-work"),
    "a commit before the lower ranks": (move(("commit", None, C), ("commit", None, A)), "mtpo.commit.lower-committed"),
    "a commit before the end": (move(("commit", None, A), ("finish", None, A)), "mtpo.commit.finished"),
    "calls out of issue order": (move(("read", "1.0", B), ("read", "2.0", C)), "mtpo.read.in-issue-order"),
    "a launch out of order": (lambda r: [r[0], r[2], r[1], *r[3:]], "mtpo.launch.rank-order"),
    "another policy": (edit("run-open", None, policy="cancel"), "mtpo.redone.policy"),
}


def refused(run: LoggedRun, tamper: Tamper) -> str:
    """The property that the first problem names; there must be one, with a place and a reason on one line."""
    found = replay(tamper(list(run.records)))
    assert found.problems, "the tampered log was taken"
    problem = found.problems[0]
    assert problem.where.startswith("record ")
    assert problem.what
    assert "\n" not in str(problem)
    return problem.property


@pytest.mark.parametrize("name", REPLAY)
def test_a_tampered_log_is_refused(logs: Mapping[Policy, LoggedRun], name: str) -> None:
    tamper, clause = REPLAY[name]
    assert refused(logs[Policy.REPLAY], tamper) == clause


CANCEL: Mapping[str, tuple[Tamper, str]] = {
    "no members": (edit("call", "0.1", members=[]), "mtpo.call.seeds"),
    "withdrawn before the late call has landed": (
        move(("cancelled", "1.1", B), ("applied", "0.1", A)),
        "mtpo.cancelled.after-landing",
    ),
    "not withdrawn": (drop("cancelled", "2.1"), "mtpo.settle.none-pending"),
    "another policy": (edit("run-open", None, policy="replay"), "mtpo.cancelled.policy"),
    "its author is not told": (edit("settle", "0.1", stale=["1.1"]), "mtpo.settled-told"),
    "a notification skipped": (drop("notify", agent=C), "mtpo.settled-told"),
}


@pytest.mark.parametrize("name", CANCEL)
def test_a_tampered_log_of_a_cancelling_run_is_refused(logs: Mapping[Policy, LoggedRun], name: str) -> None:
    tamper, clause = CANCEL[name]
    assert refused(logs[Policy.CANCEL], tamper) == clause


def test_a_problem_reads_well(logs: Mapping[Policy, LoggedRun]) -> None:
    records = REPLAY["no members"][0](list(logs[Policy.REPLAY].records))
    (problem,) = replay(records).problems
    seq = records[at(records, "call", "0.1")].seq
    assert str(problem).startswith(f"mtpo.call.seeds: record {seq} (call 0.1): not a step of the spec: ")


# -- the same as the plain interpretation --------------------------------------------------------------------------


def _generator() -> Any:
    folder = Path(__file__).parents[1] / "bench"
    sys.path.insert(0, str(folder))
    try:
        found = importlib.util.spec_from_file_location("bench_replay", folder / "replay.py")
        assert found is not None
        assert found.loader is not None
        module = importlib.util.module_from_spec(found)
        found.loader.exec_module(module)
    finally:
        sys.path.remove(str(folder))
    return module.generated


generated = _generator()


def mutated(records: Records, chance: random.Random) -> Records:
    """A log with one thing wrong, perhaps."""
    n, other = chance.randrange(1, len(records)), chance.randrange(1, len(records))
    body = json.loads(json.dumps(records[n].body))
    match chance.randrange(6):
        case 0:
            return [*records[:n], *records[n + 1 :]]
        case 1:
            return [*records[:n], records[n], *records[n:]]
        case 2:
            records[n], records[other] = records[other], records[n]
        case 3 if lists := [part for part in ("members", "stale", "reads", "writes") if body.get(part)]:
            body[chance.choice(lists)].pop()
        case 4 if tables := [part for part in ("out", "restored") if body.get(part)]:
            part = chance.choice(tables)
            body[part][chance.choice(list(body[part]))] = f"{chance.randrange(20):064x}"
        case _ if saw := body.get("saw"):
            calls = [r.call for r in records if r.kind == "call"]
            sight = saw[chance.choice(list(saw))]
            sight["write"] = chance.choice([*calls, None])
        case _:
            body |= {"policy": "cancel"} if "policy" in body else {"changed": not body.get("changed")}
    return [attrs.evolve(r, body=body) if r is records[n] else r for r in records]


@pytest.mark.parametrize("policy", Policy)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), changes=st.integers(0, 2))
def test_the_same_as_the_plain_interpretation(policy: Policy, seed: int, changes: int) -> None:
    """What it accepts and refuses, why, and after how many steps; also of logs that are not those of a run."""
    chance = random.Random(seed)
    records = generated(chance.randrange(10, 60), seed, policy, at_work=3, calls=3, near=2)
    for _ in range(changes):
        records = mutated(list(records), chance)
    outcomes = []
    for plain in (False, True):
        try:
            found = replay(records, absent=value_digest(b"salt", None), plain=plain)
        except (KeyError, IndexError, ValueError):  # it names what it does not introduce
            outcomes.append((-1, ()))
        else:
            outcomes.append((found.steps, found.problems))
            assert changes or not found.problems
    assert outcomes[0] == outcomes[1]


# -- several processes ---------------------------------------------------------------------------------------------


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


# -- what a record costs -------------------------------------------------------------------------------------------


def lines_by_record(records: Records) -> list[int]:
    """The lines of the spec's program that each record takes."""
    numbering = Numbering(records)
    run, counts = Run(numbering, Sparse(numbering)), []

    def line(frame: Any, event: str, arg: object) -> Any:
        counts[-1] += event == "line"
        return line

    def called(frame: Any, event: str, arg: object) -> Any:
        return line if frame.f_code.co_filename.startswith("<spec") else None

    before = sys.gettrace()
    sys.settrace(called)
    try:
        for record in records:
            counts.append(0)
            run.take(record)
    finally:
        sys.settrace(before)
    assert not run.problems
    return counts


@pytest.mark.parametrize("policy", Policy)
def test_a_record_costs_the_same_at_the_end_of_a_long_log(policy: Policy) -> None:
    """Every property is looked at after every step; that of no property must grow with what came before."""
    counts = lines_by_record(generated(4000, 3, policy, at_work=4, calls=10, near=4))
    early, late = sum(counts[500:1500]), sum(counts[3000:])
    assert 100_000 < early < 500_000
    assert late < 1.2 * early
