"""Forged chains: records changed, moved or doubled, and every hash made anew. The chain is whole; the checker is not
misled."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import pytest

from mtpo.proofs.replay.judge import judge
from mtpo.proofs.runs.checker import CHECKS, check
from mtpo.spec.records import GENESIS, Record, canonical, digest
from mtpo_core.log import LoggedRun, Row, check_chain

Written = Callable[[Any], LoggedRun]
Forge = Callable[[list[Record]], list[Record]]


def rehashed(run: LoggedRun, records: Sequence[Record]) -> LoggedRun:
    """The log with these records instead, numbered and chained as if they had been written so."""
    made: list[Record] = []
    for record in records:
        prev = digest(made[-1]) if made else GENESIS
        made.append(attrs.evolve(record, seq=len(made), prev=prev))
    rows = tuple(Row(r.seq, canonical(r).decode(), digest(r)) for r in made)
    forged = attrs.evolve(run, records=tuple(made), rows=rows)
    assert {p.property for p in check_chain(forged)} <= {"log.incomplete", "log.value"}
    return forged


def in_time(records: Sequence[Record]) -> list[Record]:
    """The same times in the new order: a forger who moves a record sees to that too."""
    times = sorted(record.t for record in records)
    return [attrs.evolve(record, t=t) for record, t in zip(records, times, strict=True)]


def at(records: Sequence[Record], kind: str, call: str | None = None, nth: int = 0) -> int:
    return [n for n, r in enumerate(records) if r.kind == kind and call in (None, r.call)][nth]


def doubled(kind: str, call: str | None = None, nth: int = 0) -> Forge:
    def forge(records: list[Record]) -> list[Record]:
        n = at(records, kind, call, nth)
        return in_time([*records[: n + 1], *records[n:]])

    return forge


def moved(kind: str, call: str, nth: int, before: tuple[str, str]) -> Forge:
    def forge(records: list[Record]) -> list[Record]:
        record = records.pop(at(records, kind, call, nth))
        records.insert(at(records, *before), record)
        return in_time(records)

    return forge


def timed(kind: str, t: float) -> Forge:
    def forge(records: list[Record]) -> list[Record]:
        n = at(records, kind)
        return [*records[:n], attrs.evolve(records[n], t=t), *records[n + 1 :]]

    return forge


def inferred(**body: Any) -> Forge:
    def forge(records: list[Record]) -> list[Record]:
        n = at(records, "infer")
        return [*records[:n], attrs.evolve(records[n], body={**records[n].body, **body}), *records[n + 1 :]]

    return forge


def odd_times(records: list[Record]) -> list[Record]:
    return [attrs.evolve(r, t=-r.t) for r in records]


FORGED: list[tuple[str, Forge, str]] = [
    ("prepared twice", doubled("prepared", "0.1"), "run.captured"),
    ("prepared twice for a redo", doubled("prepared", "1.1", 1), "run.captured"),
    ("captured before the members are undone", moved("prepared", "0.1", 0, ("undo", "1.1")), "run.captured"),
    ("captured before the late call lands", moved("prepared", "1.1", 1, ("exec", "0.1")), "run.captured"),
    ("captured after its effect", moved("prepared", "0.1", 0, ("redo", "1.1")), "run.phases"),
    ("a negative time", timed("run-open", -1.0), "log.time"),
    ("a negative time in the middle", timed("settle", -0.001), "log.time"),
    ("a time that is past", timed("settle", 0.0), "log.time"),
    ("time backwards", odd_times, "log.time"),
    ("an inference that ended before it began", inferred(began=1e6), "log.time"),
    ("an inference that began before the run", inferred(began=-1.0), "log.time"),
    ("an inference twice", doubled("infer"), "log.time"),
    ("an inference whose steps go back", inferred(steps=[9, 7]), "log.time"),
    ("a judgment twice", doubled("judge"), "log.body"),
]


@pytest.mark.parametrize(("forge", "property"), [row[1:] for row in FORGED], ids=[row[0] for row in FORGED])
def test_a_forged_chain_is_found_out(good: Any, written: Written, forge: Forge, property: str) -> None:
    run = written(good)
    assert check(rehashed(run, run.records)).status == "holds"
    report = check(rehashed(run, forge(list(run.records))))
    assert property in CHECKS
    assert property in {p.property for p in report.problems}
    verdicts = {f.check.id: f.verdict for f in report.findings}
    assert verdicts[property] == "violated"
    if property in ("log.time", "run.captured"):
        assert {p.property for p in report.problems} == {property}


def test_every_record_that_stands_twice_is_found(good: Any, written: Written) -> None:
    run = written(good)
    for n in range(len(run.records) - 1):  # after the close, the chain itself is at fault
        twice = [*run.records[: n + 1], *run.records[n:]]
        assert check(rehashed(run, in_time(twice))).status == "violated", run.records[n]


def test_undo_data_is_found_wherever_else_it_is_put(good: Any, written: Written) -> None:
    run = written(good)
    for place, record in enumerate(run.records):
        if record.kind != "prepared":
            continue
        rest = [*run.records[:place], *run.records[place + 1 :]]
        for n in range(1, len(rest) - 1):
            forged = rehashed(run, in_time([*rest[:n], record, *rest[n:]]))
            assert n == place or check(forged).status == "violated", (record, n)


def test_in_a_naive_run_others_may_come_between(script: Any, written: Written) -> None:
    """Nobody coordinates: what is captured may be gone when the effect comes. Only doubling is wrong by itself."""
    s = script("naive", ["A", "B"], {"x": "0", "y": "0"})
    for call, o in (("0.0", "x"), ("1.0", "y")):
        s.call(call, [], [o])
        s.act(call, {}, {o: "1"})
    s.lines.insert(s.lines.index(s.of("exec", "0.0")), s.lines.pop(s.lines.index(s.of("call", "1.0"))))
    s.plain("finish", 0, 1)
    s.close({"x": "1", "y": "1"})
    run = written(s)
    assert check(run).status == "holds"
    assert {p.property for p in check(rehashed(run, doubled("prepared")(list(run.records)))).problems} == {
        "run.captured"
    }


def test_an_inference_may_end_between_capture_and_effect(good: Any, written: Written) -> None:
    """Agents infer while a repair is under way."""
    run = written(good)
    records = list(run.records)
    inference = records.pop(at(records, "infer"))
    records.insert(at(records, "exec", "0.1"), inference)
    assert check(rehashed(run, in_time(records))).status == "holds"


JUNK: list[Any] = [
    *(None, True, -1, 0, 7, 2**52, 1.5, -0.5, "", "x", "0.0", "1.99", "a" * 64, "\u202e\x00\n", [], ["x"], [0]),
    *([None], {}, {"x": None}, {"x": {"write": None, "digest": "0" * 64}}, [{"call": "1.0"}], "999999999.999999999"),
]


def places(node: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a body."""
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [at, *(place for key, value in inner for place in places(value, (*at, key)))]


def test_no_forged_body_makes_the_judgment_fail(good: Any, written: Written) -> None:
    """Anything at all in the place of anything: a judgment, never an exception."""
    run, chance = written(good), random.Random(5)
    codes = dict.fromkeys((0, 1, 3), 0)
    for _ in range(150):
        records = list(run.records)
        n = chance.randrange(len(records))
        body = json.loads(json.dumps(records[n].body))
        *path, last = chance.choice(places(body)) or ("more",)
        node = body
        for key in path:
            node = node[key]
        node[last] = chance.choice(JUNK)
        records[n] = attrs.evolve(records[n], body=body)
        found = judge(rehashed(run, records))
        codes[found.exit_code] += 1
        assert bool(found.problems) == (found.exit_code == 1)
        assert all("\n" not in str(problem) for problem in found.problems)
    assert codes[1] > 70
