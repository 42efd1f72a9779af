"""Why a log stops being a run of the spec, its shrinking, and the story of a call: on logs tampered with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest

from mtpo.proofs.judge import judge
from mtpo.proofs.replay import replay
from mtpo.proofs.shrink import NothingToShrink, objects_of, rechained, shrink
from mtpo.proofs.story import NoSuchCall, story
from mtpo.proofs.unmatched import Unmatched, unmatched
from mtpo_core.log import LoggedRun, check_chain, read_log
from mtpo_core.loglines import export_jsonl, import_jsonl

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
    assert (clause.id, clause.remedies) == ("mtpo.applied.all-undone", ("undone 1.1",))
    assert told.instead == ()
    assert told.lines()[-1] == "possible here: no step of this agent or call"


def test_what_never_held_before_and_every_false_clause(good: Any, written: Written) -> None:
    moved = good.of("commit")
    good.drop(moved)
    good.lines.insert(good.lines.index(good.of("read", "1.0")), moved)
    told = why(written(good))
    assert [(c.id, c.until) for c in told.clauses] == [("mtpo.commit.finished", "")]
    assert told.clauses[0].remedies == ("finish of rank 0", "abort of rank 0")
    assert "it had never held before" in "\n".join(told.lines())


def test_a_look_for_remedies_leaves_no_trace(good: Any, written: Written) -> None:
    good.drop(good.of("settle", "1.1"))
    run = written(good)
    first = why(run)
    assert [(c.id, c.remedies) for c in first.clauses] == [("mtpo.finish.one-at-a-time", ("settle 1.1",))]
    assert why(run) == first


# -- shrinking -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spoil", "kinds"),
    [
        (lambda s: s.of("call", "0.1").body.update(members=[]), {"launch", "call", "applied"}),
        (lambda s: s.of("settle", "0.1").body.update(stale=[]), {"redone", "settle"}),
        (lambda s: s.drop(s.of("deliver")), {"launch", "settle"}),
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
    more = shrink(again)  # for what is now named first, which may be something else
    assert more.property != found.property or len(more.run.records) == len(again.records)


def test_agents_and_objects_that_do_not_matter_are_gone(script: Any, written: Written) -> None:
    s = script("mtpo", ["A", "B", "C"], {"x": "0", "y": "0", "z": "0"})
    s.write("1.0", {"y": (None, "0")}, {"y": "1", "z": "1"})
    s.write("2.0", {"x": (None, "0")}, {"x": "1"})
    s.read("0.0", {"z": (None, "0"), "x": ("2.0", "1")})
    found = shrink(written(s)).run
    assert found.records[0].body["initial"].keys() <= {"x"}
    assert len([r for r in found.records if r.kind == "launch"]) <= 2
    assert not any({"y", "z"} & objects_of(r) for r in found.records)


def test_nothing_to_shrink(good: Any, written: Written) -> None:
    run = written(good)
    with pytest.raises(NothingToShrink, match="it violates nothing"):
        shrink(run)
    torn = attrs.evolve(run, rows=(*run.rows[:3], attrs.evolve(run.rows[3], digest="0" * 64), *run.rows[4:]))
    with pytest.raises(NothingToShrink, match=r"only log\.chain"):
        shrink(torn)
    assert judge(rechained(run, run.records)).exit_code == 0


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
