"""Shrinking: fewer agents, calls, objects and records, with which the same is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest

from mtpo.proofs.replay.judge import judge
from mtpo.proofs.replay.leaving import objects_of, without_agents, without_calls, without_objects, without_records
from mtpo.proofs.replay.rechaining import chained, rechained, renumbered
from mtpo.proofs.replay.shrink import NothingToShrink, Trouble, shrink
from mtpo.proofs.runs.runform import fault
from mtpo_core.log import LoggedRun, check_chain, read_log
from mtpo_core.loglines import export_jsonl, import_jsonl

Written = Callable[[Any], LoggedRun]


@pytest.mark.parametrize(
    ("spoil", "kinds"),
    [
        (lambda s: s.of("call", "0.1").body.update(members=[]), {"launch", "call", "applied"}),
        (lambda s: s.of("settle", "0.1").body.update(stale=[]), {"redone", "settle"}),
        (lambda s: s.drop(s.of("deliver")), {"launch", "settle", "notify", "finish"}),
    ],
)
def test_a_shrunk_log_fails_the_same_and_is_a_log(
    good: Any, written: Written, spoil: Callable[[Any], Any], kinds: set[str], tmp_path: Any
) -> None:
    spoil(good)
    run = written(good)
    before = {p.property for p in judge(run).problems}
    found = shrink(run)
    after = {p.property for p in judge(found.run).problems}
    assert found.property in after <= before
    assert kinds <= {r.kind for r in found.run.records}
    assert len(found.run.records) < len(run.records)
    assert {p.property for p in check_chain(found.run)} <= {"log.incomplete"}
    import_jsonl(export_jsonl(found.run), tmp_path / "small.mtpo")
    again = read_log(tmp_path / "small.mtpo")
    assert again.records == found.run.records
    assert {p.property for p in judge(again).problems} == after
    assert Trouble.of(judge(run)) == Trouble.of(judge(again)) == found.trouble
    more = shrink(again)
    assert (more.trouble, len(more.run.records)) == (found.trouble, len(again.records))


def test_agents_and_objects_that_do_not_matter_are_gone(script: Any, written: Written) -> None:
    s = script("mtpo", ["A", "B", "C"], {"x": "0", "y": "0", "z": "0"})
    s.write("1.0", {"y": (None, "0")}, {"y": "1", "z": "1"})
    s.write("2.0", {"x": (None, "0")}, {"x": "1"})
    s.read("0.0", {"z": (None, "0"), "x": ("2.0", "1")})
    found = shrink(written(s)).run
    assert found.records[0].body["initial"].keys() <= {"x"}
    assert len([r for r in found.records if r.kind == "launch"]) <= 2
    assert not any({"y", "z"} & objects_of(r) for r in found.records)


DAMAGED = [None, 5, "x", [5], {"a": 5}, [{}], {}]
"""What a field may be damaged to; each field also gets lost."""


def test_what_is_not_of_its_form_names_nothing_and_stays(good: Any, written: Written) -> None:
    """Each field of each kind, damaged in every way: agents, calls and objects are left out of the rest."""
    whole = written(good).records
    fields = {(r.kind, field): r.seq for r in whole for field in r.body}
    assert {("read", "saw"), ("settle", "stale"), ("notify", "premises"), ("run-open", "initial")} <= fields.keys()
    for (_, field), seq in fields.items():
        for damage in DAMAGED:
            spoilt = attrs.evolve(whole[seq], body=whole[seq].body | {field: damage})
            if fault(spoilt) is None:
                continue
            records = renumbered([*whole[:seq], spoilt, *whole[seq + 1 :]])
            for left in (
                without_agents(records, {1}),
                without_calls(records, {(1, 0)}),
                without_objects(records, {"x"}),
                without_records(records, {1}),
            ):
                assert len(left) <= len(records)
                assert all(r.body[field] == damage for r in left if r.seq == seq)
        lost = {name: x for name, x in whole[seq].body.items() if name != field}
        assert field not in renumbered([*whole[:seq], attrs.evolve(whole[seq], body=lost)])[seq].body


@pytest.mark.parametrize(
    ("kind", "spoilt"),
    [
        ("settle", {"kind": "read"}),
        ("settle", {"kind": "recover"}),
        ("settle", {"call": "nonsense"}),
        ("settle", {"call": None}),
        ("settle", {"body": {"stale": None}}),
        ("read", {"body": {"saw": 5}}),
        ("run-open", {"body": {"initial": []}}),
    ],
)
def test_a_log_with_a_record_of_no_form_is_shrunk(
    good: Any, written: Written, kind: str, spoilt: dict[str, Any]
) -> None:
    run = written(good)
    at = next(r.seq for r in run.records if r.kind == kind)
    _shrinks(chained(run, [attrs.evolve(r, **spoilt) if r.seq == at else r for r in run.records]))


def _shrinks(run: LoggedRun) -> None:
    """It does, to what has the same trouble; or nothing is violated by what records say."""
    try:
        found = shrink(run)
    except NothingToShrink:
        assert not judge(run).problems
        return
    assert Trouble.of(judge(found.run)) == found.trouble == Trouble.of(judge(run))
    assert len(found.run.records) <= len(run.records)


def test_nothing_to_shrink(good: Any, written: Written) -> None:
    run = written(good)
    with pytest.raises(NothingToShrink, match="it violates nothing"):
        shrink(run)
    torn = attrs.evolve(run, rows=(*run.rows[:3], attrs.evolve(run.rows[3], digest="0" * 64), *run.rows[4:]))
    with pytest.raises(NothingToShrink, match=r"only log\.chain"):
        shrink(torn)
    assert judge(rechained(run, run.records)).exit_code == 0


def test_a_gap_is_closed_and_said_to_be(good: Any, written: Written) -> None:
    good.of("settle", "0.1").body.update(stale=[])
    whole = written(good)
    assert shrink(whole).mended == ()
    torn = attrs.evolve(whole, rows=whole.rows[:3] + whole.rows[4:], records=whole.records[:3] + whole.records[4:])
    assert judge(torn).problems[0].property == "log.gap"
    found = shrink(torn)
    assert [str(p) for p in found.mended] == [f"log.gap: record {whole.rows[4].seq}: record 3 missing before it"]
    after = {p.property for p in judge(found.run).problems}
    assert found.property in after and "log.gap" not in after


def test_what_the_trouble_is(good: Any, written: Written) -> None:
    good.drop(good.of("deliver"))
    found = Trouble.of(judge(written(good)))
    assert found == Trouble("log.body", "judge", "mtpo.finish.inbox-empty", "finish")
    assert str(found) == (
        "log.body at a record of kind judge, and the replay stops by mtpo.finish.inbox-empty at one of kind finish"
    )
    good.drop(good.of("notify"))
    same = Trouble.of(judge(written(good)))
    assert same is not None and (same.property, same.kind) == (same.clause, same.at) == ("mtpo.settled-told", "reopen")
    assert str(same) == "mtpo.settled-told at a record of kind reopen"


def test_another_violation_that_the_whole_has_too_is_not_what_is_left(good: Any, written: Written) -> None:
    """Without the `deliver` the agent judges what it was not given, and finishes with unread notifications; in the end
    it was not told, either, which alone would make a shorter log."""
    good.drop(good.of("deliver"))
    run = written(good)
    assert {"log.body", "run.premise-told", "run.consumed-before-action"} <= {p.property for p in judge(run).problems}
    found = shrink(run)
    assert found.trouble == Trouble.of(judge(run))
    left = judge(found.run)
    assert left.replay is not None and [p.property for p in left.replay.problems] == ["mtpo.finish.inbox-empty"]
    assert {"settle", "notify", "reopen"} <= {r.kind for r in found.run.records}
