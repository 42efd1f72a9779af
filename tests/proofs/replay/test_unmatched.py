"""Why a log stops being a run of the spec, and the story of a call: on logs tampered with."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from mtpo.proofs.incremental.disjuncts import name_of
from mtpo.proofs.replay.numbering import STEPS, Numbering
from mtpo.proofs.replay.remedies import BACK, DEEP, Remedy
from mtpo.proofs.replay.replay import Sparse, replay
from mtpo.proofs.replay.story import NoSuchCall, story
from mtpo.proofs.replay.unmatched import Unmatched, unmatched
from mtpo.proofs.replay.witness import Finder
from mtpo_core.log import LoggedRun

Written = Callable[[Any], LoggedRun]


def why(run: LoggedRun) -> Unmatched:
    found = replay(run.records)
    assert found.refused is not None
    told = unmatched(run.records, found.refused)
    assert told.clauses[0].id == found.problems[0].property
    return told


# -- why -----------------------------------------------------------------------------------------------------------


def test_the_elements_and_the_record_that_made_a_clause_false(good: Any, written: Written) -> None:
    good.of("call", "0.1").body["members"] = []
    told = why(written(good))
    (clause,) = told.clauses
    assert clause.id == "mtpo.call.seeds"
    assert clause.elements == (("c", "0.1"), ("w", "1.1"), ("o", "x"))
    assert {"live(1.1)", "0.1 < 1.1", "not members(1.1)"} <= set(clause.facts)
    applied = next(r for r in written(good).records if r.kind == "applied")
    assert clause.until == f"record {applied.seq} (applied 1.1)"


def test_a_step_that_would_mend_it_and_what_is_possible_instead(good: Any, written: Written) -> None:
    good.drop(good.of("undone", "1.1"))
    told = why(written(good))
    (clause,) = told.clauses
    assert (clause.id, clause.remedies) == ("mtpo.applied.all-undone", (Remedy(("undone 1.1",)),))
    assert "undone 1.1" in told.instead
    lines = told.lines()
    assert "  it would hold after: undone 1.1" in lines
    assert f"possible here: {', '.join(told.instead)}" in lines


def test_what_never_held_before_and_every_false_clause(good: Any, written: Written) -> None:
    moved = good.of("commit")
    good.drop(moved)
    good.lines.insert(good.lines.index(good.of("read", "1.0")), moved)
    told = why(written(good))
    assert [(c.id, c.until) for c in told.clauses] == [("mtpo.commit.finished", "")]
    assert told.clauses[0].remedies == (Remedy(("finish of rank 0",)), Remedy(("abort of rank 0",)))
    assert "it had never held before" in "\n".join(told.lines())


def test_a_look_for_remedies_leaves_no_trace(good: Any, written: Written) -> None:
    good.drop(good.of("settle", "1.1"))
    run = written(good)
    first = why(run)
    assert [(c.id, c.remedies) for c in first.clauses] == [("mtpo.finish.one-at-a-time", (Remedy(("settle 1.1",)),))]
    assert why(run) == first


def test_several_steps_that_would_mend_it_rather_than_one_that_makes_only_the_clause_true(
    good: Any, written: Written
) -> None:
    good.drop(good.of("reopen"), good.of("deliver"))
    good.moved(lambda: good.read("1.2", {"y": (None, "0")}), good.of("judge"))
    told = why(written(good))
    assert [clause.id for clause in told.clauses] == ["mtpo.read.author-at-work", "mtpo.read.inbox-empty"]
    remedy = Remedy(("reopen of rank 1", "deliver of rank 1"))
    assert [clause.remedies for clause in told.clauses] == [(remedy,), (remedy,)]
    assert "  it would hold after: reopen of rank 1, then deliver of rank 1" in told.lines()


def test_elements_have_the_names_of_the_formula(good: Any, written: Written) -> None:
    good.drop(good.of("reopen"), good.of("deliver"))
    good.moved(lambda: good.read("1.2", {"y": (None, "0")}), good.of("judge"))
    clause = why(written(good)).clauses[1]
    assert clause.formula == "forall c_2: Call. (c_2 != origin & (author(c_2) = author(c))) -> ~note(c_2)"
    assert clause.elements == (("c", "1.2"), ("c_2", "1.0"))


def test_every_variable_of_every_guard_has_a_name_in_it(good: Any, written: Written) -> None:
    spec = Sparse(Numbering(written(good).records)).spec
    for action in spec.spec.actions.values():
        for clause in action.guard:
            finder = Finder(spec, action, clause)
            variables = [name for found in finder.disjuncts for name, _ in found.variables]
            assert {name_of(p) for p in action.elements} | {*variables} <= finder.names.keys()
            assert all(re.search(rf"\b{finder.names[name]}\b", finder.formula) for name in variables)


def test_what_is_above_is_undone_first(script: Any, written: Written) -> None:
    s = script("mtpo", ["A", "B"], {"x": "0"})
    s.write("1.0", {"x": (None, "0")}, {"x": "1"})
    s.write("1.1", {"x": ("1.0", "1")}, {"x": "2"})
    s.call("0.0", ["x"], ["x"], ["1.0", "1.1"])
    s.act("0.0", {"x": (None, "0")}, {"x": "3"})
    (clause,) = why(written(s)).clauses
    assert (clause.id, clause.remedies) == ("mtpo.applied.all-undone", (Remedy(("undone 1.1", "undone 1.0")),))


def test_a_step_before_an_earlier_record_where_none_here_would_mend_it(good: Any, written: Written) -> None:
    good.drop(good.of("finish"))
    run = written(good)
    (clause,) = why(run).clauses
    settled = next(r for r in run.records if r.kind == "settle" and r.call == "0.1")
    (remedy,) = clause.remedies
    assert (clause.id, remedy.steps, remedy.still) == ("mtpo.reopen.finished", ("finish of rank 1",), "")
    assert remedy.before is not None and remedy.before <= settled.seq
    mended = list(run.records)
    finish = attrs.evolve(next(r for r in mended if r.kind == "reopen"), kind="finish", body={})
    assert replay([*mended[: remedy.before], finish, *mended[remedy.before :]]).problems == ()
    assert f"  it would hold after: finish of rank 1, before record {remedy.before}" in why(run).lines()


def test_many_steps_of_one_kind_that_would_mend_it(script: Any, written: Written) -> None:
    names = [f"A{rank}" for rank in range(6)]
    s = script("mtpo", names, {"x": "0"})
    s.plain("finish", *range(6))
    s.plain("commit", 5)
    (clause,) = why(written(s)).clauses
    assert clause.id == "mtpo.commit.lower-committed"
    assert clause.remedies == (Remedy(tuple(f"commit of rank {rank}" for rank in range(5))),)


def test_that_nothing_would_mend_it_is_said(script: Any, written: Written) -> None:
    s = script("mtpo", ["A"], {"x": "0"})
    s.read("0.0", {"x": (None, "0")})
    s.read("0.0", {"x": (None, "0")})
    told = why(written(s))
    assert [(clause.id, clause.remedies) for clause in told.clauses] == [("mtpo.read.in-issue-order", ())]
    said = f"  no way to make it true was found: {DEEP} steps here, or one before any of the {BACK} before"
    assert said in told.lines()


def test_of_every_other_step_of_the_call_and_its_agent_what_refuses_it(good: Any, written: Written) -> None:
    good.drop(good.of("undone", "1.1"))
    run = written(good)
    told = why(run)
    others = dict(told.others)
    assert not others.keys() & set(told.instead) and "applied 0.1" not in others
    failed = others["failed 0.1"]
    assert (failed.id, failed.elements) == ("mtpo.failed.all-undone", (("m", "1.1"),))
    assert failed.facts == ("undoer(1.1) = 0.1", "live(1.1)")
    line = "not possible: failed 0.1: mtpo.failed.all-undone is false for m = 1.1 since undoer(1.1) = 0.1, live(1.1)"
    assert line in told.lines()
    assert {name.split()[0] for name in others} | {"applied"} | {s.split()[0] for s in told.instead} >= STEPS - {
        "external"
    }
    assert [x["step"] for x in told.as_json()["others"]] == list(others)


# -- stories -------------------------------------------------------------------------------------------------------


def test_the_story_of_a_call(good: Any, written: Written) -> None:
    found = story(written(good), "1.1")
    assert (found.author, found.judged) == ("B (rank 1)", "")
    told = [event.what for event in found.events]
    assert any(what.startswith("redone; sees x as 0.1 left it") for what in told)
    assert "told B (rank 1): x, which 1.0 saw, is now" in "\n".join(told)
    assert "B (rank 1) has read notification 1" in told
    (redone,) = (event for event in found.events if event.what.startswith("redone"))
    assert "mtpo.redone.ascending" in redone.clauses
    assert sum(line.strip().startswith("allowed by mtpo.redone: after-landing") for line in found.lines()) == 1


def test_a_story_says_where_it_is_not_allowed(good: Any, written: Written) -> None:
    good.of("call", "0.1").body["members"] = []
    found = story(written(good), "0.1")
    assert [e.refused.partition(":")[0] for e in found.events if e.refused] == ["mtpo.call.seeds"]
    assert not any(e.clauses for e in found.events)
    assert found.judged.startswith("from record ")
    with pytest.raises(NoSuchCall, match=r"no call '7\.7' in this log; its calls: 1\.0, 0\.0, 1\.1, 0\.1"):
        story(written(good), "7.7")
