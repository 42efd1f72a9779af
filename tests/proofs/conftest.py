"""Hand-made logs: lists of lines in the vocabulary of docs/records.md, edited at will, then written with RunLog."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest

from mtpo_core.log import LoggedRun, RunLog, read_log

Saw = Mapping[str, tuple[str | None, str | None]]
"""Object to (the write that was seen, its value); values are texts, None is absent."""


@attrs.define
class Line:
    """A record to be; digests stand as ``Value(text)``."""

    kind: str
    agent: int | None
    call: str | None
    body: dict[str, Any]


@attrs.frozen
class Value:
    """A value whose digest goes into the body."""

    text: str | None


def _rank(call: str) -> int:
    return int(call.partition(".")[0])


def _saw(saw: Saw) -> dict[str, Any]:
    return {o: {"write": write, "digest": Value(value)} for o, (write, value) in saw.items()}


def _values(values: Mapping[str, str | None]) -> dict[str, Any]:
    return {o: Value(value) for o, value in values.items()}


class Script:
    """A log in the making: one method per kind, and a few for what comes together. ``lines`` may be edited."""

    def __init__(self, mode: str, names: Sequence[str], initial: Mapping[str, str], policy: str = "replay") -> None:
        self.lines: list[Line] = []
        body = {"mode": mode, "policy": policy, "scenario": "case", "inference": "none", "initial": _values(initial)}
        self.mode = mode
        self.add("run-open", None, None, **body)
        for rank, name in enumerate(names):
            self.add("launch", rank, None, name=name, task="a task")

    def add(self, kind: str, agent: int | None, call: str | None, **body: Any) -> Line:
        line = Line(kind, agent, call, body)
        self.lines.append(line)
        return line

    def of(self, kind: str, call: str | None = None, nth: int = 0) -> Line:
        """The nth line of a kind (and call)."""
        found = [line for line in self.lines if line.kind == kind and call in (None, line.call)]
        return found[nth]

    def drop(self, *lines: Line) -> None:
        for line in lines:
            self.lines.remove(line)

    def moved(self, make: Callable[[], Any], before: Line) -> None:
        """What ``make`` adds goes before a line."""
        count = len(self.lines)
        make()
        added, self.lines = self.lines[count:], self.lines[:count]
        place = self.lines.index(before)
        self.lines[place:place] = added

    def read(self, call: str, saw: Saw, filtered: bool = False) -> Line:
        text = Value(" ".join(str(value) for _, value in saw.values()))
        body = {"tool": "read_file", "args": Value("{}"), "saw": _saw(saw), "filtered": filtered, "result": text}
        return self.add("read", _rank(call), call, **body)

    def call(
        self,
        call: str,
        reads: Sequence[str],
        writes: Sequence[str],
        members: Sequence[str] = (),
        invertible: bool = True,
    ) -> Line:
        body = {"tool": "edit", "args": Value("{}"), "reads": list(reads), "writes": list(writes), "class": "rmw"}
        return self.add("call", _rank(call), call, **body, invertible=invertible, members=list(members))

    def act(self, call: str, saw: Saw, out: Mapping[str, str | None], invertible: bool = True) -> None:
        if invertible:
            self.add("prepared", _rank(call), call, undo=Value(f"undo {call}"))
        self.add("exec", _rank(call), call)
        self.add("applied", _rank(call), call, saw=_saw(saw), out=_values(out), result=Value("done"))

    def settle(self, call: str, *stale: str) -> Line:
        return self.add("settle", _rank(call), call, stale=list(stale))

    def write(self, call: str, saw: Saw, out: Mapping[str, str | None], invertible: bool = True) -> None:
        """A write call that is not late, from acceptance to its end."""
        self.call(call, list(saw), list(out), (), invertible)
        self.act(call, saw, out, invertible)
        if self.mode == "mtpo":
            self.settle(call)

    def fail(self, call: str, reads: Sequence[str], writes: Sequence[str]) -> None:
        self.call(call, reads, writes)
        self.add("prepared", _rank(call), call, undo=Value("nothing"))
        self.add("exec", _rank(call), call)
        self.add("failed", _rank(call), call, error="edit: no such text")
        if self.mode == "mtpo":
            self.settle(call)

    def undo(self, call: str, by: str, restored: Mapping[str, str | None]) -> None:
        self.add("undo", _rank(call), call, by=by)
        self.add("undone", _rank(call), call, by=by, restored=_values(restored))

    def redo(self, call: str, by: str, saw: Saw, out: Mapping[str, str | None], changed: bool) -> None:
        self.add("prepared", _rank(call), call, undo=Value(f"undo {call} again"))
        self.add("redo", _rank(call), call, by=by)
        body = {"saw": _saw(saw), "out": _values(out), "result": Value("done"), "changed": changed}
        self.add("redone", _rank(call), call, by=by, **body)

    def notify(
        self,
        number: int,
        agent: int,
        by: str,
        premises: Sequence[tuple[str, str, str | None, str | None, str | None]] = (),
        results: Sequence[tuple[str, str]] = (),
    ) -> Line:
        """Premises: (call, object, was, now, write)."""
        told = [
            {"call": call, "object": o, "was": Value(was), "now": Value(now), "write": write}
            for call, o, was, now, write in premises
        ]
        body = {"id": number, "by": by, "premises": told}
        return self.add("notify", agent, None, **body, results=[{"call": c, "status": s} for c, s in results])

    def deliver(self, agent: int, *ids: int) -> Line:
        return self.add("deliver", agent, None, ids=list(ids))

    def judge(self, agent: int, *ids: int, verdict: str = "ignore", waiver: str | None = "replayed") -> Line:
        return self.add("judge", agent, None, ids=list(ids), verdict=verdict, waiver=waiver)

    def infer(self, agent: int) -> Line:
        body = {"began": 0.0, "prompt_tokens": 100, "new_tokens": 7, "steps": [0, 7], "text": Value("thinking")}
        return self.add("infer", agent, None, **body)

    def plain(self, kind: str, *agents: int) -> None:
        for agent in agents:
            self.add(kind, agent, None)

    def close(self, final: Mapping[str, str | None], outcome: str = "complete", error: str | None = None) -> Line:
        return self.add("close", None, None, final=_values(final), outcome=outcome, error=error)

    def ended(self, final: Mapping[str, str | None]) -> Script:
        """The script, after every agent has finished and the run is closed."""
        self.plain("finish", *range(sum(line.kind == "launch" for line in self.lines)))
        self.close(final)
        return self


def _named(log: RunLog, node: Any) -> Any:
    if isinstance(node, Value):
        return log.put(None if node.text is None else node.text.encode())
    if isinstance(node, dict):
        return {key: _named(log, value) for key, value in node.items()}
    return [_named(log, value) for value in node] if isinstance(node, list) else node


@pytest.fixture
def script() -> type[Script]:
    return Script


@pytest.fixture
def written(tmp_path: Path) -> Callable[[Script], LoggedRun]:
    """Writes a script as a log and reads it back."""
    numbers = itertools.count()

    def write(made: Script) -> LoggedRun:
        path = tmp_path / f"run{next(numbers)}.mtpo"
        with RunLog.create(path, "r1", salt=b"of the tests") as log:
            log._db.execute("PRAGMA synchronous = OFF")
            for line in made.lines:
                log.append(line.kind, agent=line.agent, call=line.call, body=_named(log, line.body))
        return read_log(path)

    return write


def repaired() -> Script:
    """B reads and writes x, then A, of lower rank, writes it: B's write is undone and redone, and B is told."""
    s = Script("mtpo", ["A", "B"], {"x": "0", "y": "0"})
    s.infer(1)
    s.read("1.0", {"x": (None, "0")})
    s.read("0.0", {"y": (None, "0")})
    s.write("1.1", {"x": (None, "0")}, {"x": "0b"})
    s.plain("finish", 1)
    s.call("0.1", ["x"], ["x"], ["1.1"])
    s.undo("1.1", "0.1", {"x": "0"})
    s.act("0.1", {"x": (None, "0")}, {"x": "0a"})
    s.redo("1.1", "0.1", {"x": ("0.1", "0a")}, {"x": "0ab"}, True)
    s.settle("0.1", "1.0", "1.1")
    s.notify(1, 1, "0.1", [("1.0", "x", "0", "0a", "0.1")], [("1.1", "changed")])
    s.plain("reopen", 1)
    s.deliver(1, 1)
    s.judge(1, 1)
    s.plain("finish", 0)
    s.plain("commit", 0)
    s.plain("finish", 1)
    s.plain("commit", 1)
    s.close({"x": "0ab", "y": "0"})
    return s


@pytest.fixture
def good() -> Script:
    """See :func:`repaired`."""
    return repaired()
