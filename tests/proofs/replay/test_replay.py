"""Replay of a log against the spec: a true log is a run of it; a tampered one is refused, with the clause named."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtpo.proofs.replay.numbering import Numbering
from mtpo.proofs.replay.replay import Run, Sparse, replay
from mtpo.spec.records import value_digest
from mtpo_core.log import LoggedRun, read_log
from mtpo_core.machine import Policy
from mtpo_core.resources.filesystem import FileSystem
from mtpo_core.resources.filetools import file_tools
from mtpo_core.runtime import Session
from mtpo_core.sync import SyncSession
from mtpo_core.tools import Toolbox, ToolCall
from tests.proofs.generated import Records, generated, mutated

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
