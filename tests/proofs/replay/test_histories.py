"""The checker against random histories and real interleavings: it agrees with trying every serial order."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mtpo.proofs.replay.shrink import rechained
from mtpo.proofs.runs.checker import check
from mtpo_core.log import LoggedRun, read_log
from mtpo_core.machine import Policy
from mtpo_core.resources.base import Fingerprint
from mtpo_core.runtime import Session
from mtpo_core.tools import Footprint, Param, Toolbox, ToolCall, ToolError, WriteClass, read_tool, write_tool

Written = Callable[[Any], LoggedRun]


def ids(run: LoggedRun) -> set[str]:
    """The properties that a run violates."""
    return {problem.property for problem in check(run).problems}


Step = tuple[int, str, tuple[str, ...], tuple[str, ...]]
"""(rank, what it does, the objects it reads, those it writes)."""

objects = st.lists(st.sampled_from(["x", "y", "z", "d/"]), max_size=3, unique=True).map(tuple)
steps = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(["read", "edit", "put"]), objects, objects), min_size=1, max_size=14
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps, order=st.permutations(range(4)))
def test_a_serial_history_passes_in_whatever_order(
    steps: list[Step], order: list[int], written: Written, script: Any
) -> None:
    """Agents one after another, in an order that is not that of their names: no naive run of that kind has a cycle."""
    s = script("naive", "ABCD", {"x": "0", "y": "0"})
    state: dict[str, tuple[str | None, str | None]] = {"x": (None, "0"), "y": (None, "0")}
    issued = [0] * 4
    for number, (rank, kind, reads, writes) in enumerate(sorted(steps, key=lambda step: order[step[0]])):
        call = f"{rank}.{issued[rank]}"
        issued[rank] += 1
        saw = {o: state.get(o, (None, None)) for o in reads}
        if kind == "read":
            s.read(call, saw)
            continue
        out = {o: str(number % 3) for o in writes}
        s.write(call, saw, out)
        state |= {o: (call, value) for o, value in out.items()}
    assert ids(written(s.ended({o: value for o, (_, value) in state.items() if value is not None}))) == set()


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps)
def test_the_graph_agrees_with_trying_every_order(steps: list[Step], written: Written, script: Any) -> None:
    """A naive run has a cycle exactly if no order of its agents keeps the order of every two conflicting accesses."""
    s = script("naive", "ABCD", {"x": "0", "y": "0"})
    state: dict[str, tuple[str | None, str | None]] = {"x": (None, "0"), "y": (None, "0")}
    issued = [0] * 4
    accesses: list[tuple[int, set[str], set[str]]] = []
    for number, (rank, kind, reads, writes) in enumerate(steps):
        call = f"{rank}.{issued[rank]}"
        issued[rank] += 1
        saw = {o: state.get(o, (None, None)) for o in reads}
        if kind == "read":
            s.read(call, saw)
        else:
            out = {o: str(number) for o in writes}
            s.write(call, saw, out)
            state |= {o: (call, value) for o, value in out.items()}
        accesses.append((rank, set(reads), set() if kind == "read" else set(writes)))
    before = {
        (a, b)
        for (a, ra, wa), (b, rb, wb) in itertools.combinations(accesses, 2)
        if a != b and (wa & wb or wa & rb or ra & wb)
    }
    possible = any(
        all(order.index(a) < order.index(b) for a, b in before) for order in itertools.permutations(range(4))
    )
    found = ids(written(s.ended({o: value for o, (_, value) in state.items() if value is not None})))
    assert found == (set() if possible else {"run.serializable"})


class Shelf:
    """A resource in memory."""

    def __init__(self, values: dict[str, bytes]) -> None:
        self.values = values

    def read(self, object: str) -> bytes | None:
        return self.values.get(object)

    def restore(self, object: str, value: bytes | None) -> None:
        if value is None:
            self.values.pop(object, None)
        else:
            self.values[object] = value

    def objects(self) -> frozenset[str]:
        return frozenset(self.values)

    def capture(self, objects: Any) -> bytes:
        return json.dumps({o: self.values[o].hex() if o in self.values else None for o in objects}).encode()

    def reinstate(self, undo: bytes) -> None:
        for o, value in json.loads(undo).items():
            self.restore(o, None if value is None else bytes.fromhex(value))

    def fingerprint(self) -> Fingerprint:
        return Fingerprint({o: value.hex() for o, value in self.values.items()})

    def changed_since(self, fingerprint: Fingerprint) -> frozenset[str]:
        return self.fingerprint().differing(fingerprint)

    def repair(self, objects: Any, values: Any) -> frozenset[str]:
        for o in objects:
            self.restore(o, values.get(o))
        return frozenset()


def shelf_tools() -> Toolbox:
    params = [
        Param("reads", "objects", _strings(), ()),
        Param("writes", "objects", _strings(), ()),
        Param("put", "value"),
    ]

    def look(view: Any, args: Any) -> str:
        return " ".join(f"{o}={view.get(o)!r}" for o in args["reads"])

    def footprint(view: Any, args: Any) -> Footprint:
        return Footprint(args["reads"], args["writes"])

    def edit(resource: Any, args: Any) -> str:
        seen = b"".join(resource.read(o) or b"-" for o in args["reads"])[-6:]
        for o in args["writes"]:
            resource.restore(o, seen + args["put"].encode())
        return seen.decode()

    def strict(resource: Any, args: Any) -> str:
        if any(resource.read(o) is None for o in args["reads"]):
            raise ToolError("absent")
        return edit(resource, args)

    tools = [read_tool("look", "reads", params, look)]
    for name, act, inverse in (("edit", edit, True), ("strict", strict, True), ("send", edit, False)):
        tools.append(write_tool(name, "writes", params, WriteClass.RMW, footprint, act, invertible=inverse))
    return Toolbox(tools)


def _strings() -> Any:
    return type(Param("n", "d").type).STRINGS


async def play(path: Path, programs: list[list[ToolCall]], turns: list[int], policy: Policy, mode: Any) -> None:
    """Agents with fixed programs, in an arbitrary interleaving, on the real runtime. A refused or notified agent goes
    on: it judged that nothing needs to be done."""
    session = Session.open(Shelf({"x": b"0", "y": b"0"}), shelf_tools(), path, mode=mode, policy=policy, run="r1")
    session.log._db.execute("PRAGMA synchronous = OFF")
    for rank in range(len(programs)):
        await session.launch("ABCD"[rank])
    todo = [list(program) for program in programs]

    async def act(rank: int) -> None:
        await session.drain(rank)
        if todo[rank]:
            call = todo[rank].pop(0)
            lower = all(map(session.committed, range(rank)))
            if call.name != "send" or lower or mode != "mtpo":
                await session.call(rank, call)
        elif not session.machine.agents[rank].finished:
            await session.finish(rank)

    for turn in turns:
        await act(turn % len(programs))
    while not all(map(session.committed, range(len(programs)))):
        for rank in range(len(programs)):
            if session.committed(rank):
                continue
            await act(rank)
    assert await session.close() == "complete"


calls = st.tuples(st.sampled_from(["look", "edit", "edit", "send"]), objects, objects, st.sampled_from("ab")).map(
    lambda row: ToolCall(row[0], {"reads": row[1], "writes": row[2], "put": row[3]})
)
programs = st.lists(st.lists(calls, max_size=4), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(programs=programs, turns=st.lists(st.integers(0, 3), max_size=20), policy=st.sampled_from(list(Policy)))
def test_interleavings_under_the_protocol_pass(
    programs: list[list[ToolCall]], turns: list[int], policy: Policy, tmp_path: Path
) -> None:
    folder = tmp_path / "runs"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    asyncio.run(play(folder / "r.mtpo", programs, turns, policy, "mtpo"))
    report = check(read_log(folder / "r.mtpo"))
    assert report.problems == () and report.status == "holds"


def test_a_failed_call_whose_reason_goes_away_is_told_to_its_author(tmp_path: Path) -> None:
    """B's call fails because d/ is absent; A, of lower rank, makes it afterwards. Serially B's call would succeed."""
    wants = {"reads": ["d/"], "writes": ["x"], "put": "b"}
    makes = {"writes": ["d/"], "put": "a"}
    asyncio.run(
        play(
            tmp_path / "r.mtpo", [[ToolCall("edit", makes)], [ToolCall("strict", wants)]], [1, 0], Policy.REPLAY, "mtpo"
        )
    )
    run = read_log(tmp_path / "r.mtpo")
    assert check(run).problems == ()
    told = [r for r in run.records if r.kind == "notify"]
    assert [(r.agent, r.body["premises"][0]["object"]) for r in told] == [(1, "d/")]


def test_the_same_agents_without_coordination_are_caught(tmp_path: Path) -> None:
    """The interleaving of a lost update, played on the real runtime in both modes."""

    def program(value: str) -> list[ToolCall]:
        both = {"reads": ["x"], "writes": ["x"], "put": value}
        return [ToolCall("look", both), ToolCall("edit", both)]

    found = {}
    for mode in ("naive", "mtpo"):
        path = tmp_path / f"{mode}.mtpo"
        asyncio.run(play(path, [program("a"), program("b")], [0, 1, 1, 0], Policy.REPLAY, mode))
        found[mode] = ids(read_log(path))
    assert found == {"naive": {"run.serializable"}, "mtpo": set()}


@pytest.mark.parametrize("policy", list(Policy))
def test_what_the_runtime_tells_can_be_neither_left_out_nor_doubled(policy: Policy, tmp_path: Path) -> None:
    """Every notification of a run with a premise left out, or all said twice."""
    chance, forged = random.Random(7), 0
    programs = []
    for _ in range(4):
        program = []
        for _ in range(6):
            reads, writes = (chance.sample(["x", "y", "d/"], chance.randrange(3)) for _ in range(2))
            kind = chance.choice(["look", "look", "edit", "strict"])
            program.append(ToolCall(kind, {"reads": reads, "writes": writes, "put": chance.choice("ab")}))
        programs.append(program)
    turns = [chance.choice([3, 3, 2, 2, 1, 0]) for _ in range(30)]
    asyncio.run(play(tmp_path / "r.mtpo", programs, turns, policy, "mtpo"))
    run = read_log(tmp_path / "r.mtpo")
    assert check(run).status == "holds"
    for place, record in enumerate(run.records):
        if record.kind != "notify":
            continue
        body = record.body
        bodies = [{**body, "premises": [q for q in body["premises"] if q is not p]} for p in body["premises"]]
        bodies += [{**body, "premises": body["premises"] * 2, "results": body["results"] * 2}]
        for other in bodies:
            if other == body:
                continue
            altered = attrs.evolve(record, body=other)
            report = check(rechained(run, [*run.records[:place], altered, *run.records[place + 1 :]]))
            assert {"run.premise-told", "run.failure-told"} & {p.property for p in report.problems}, other
            forged += 1
    assert forged > 10
