"""The checker against hand-made logs: good ones pass, and each check catches a log made to break it, under its id."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mtpo.proofs.runs.checker import CHECKS, check
from mtpo_core.log import LoggedRun, read_log

Written = Callable[[Any], LoggedRun]


def ids(run: LoggedRun) -> set[str]:
    """The properties that a run violates."""
    return {problem.property for problem in check(run).problems}


# -- one bad log for each check ------------------------------------------------------------------------------------


def misnumbered_launch(s: Any) -> None:
    s.of("launch", nth=1).agent = 7


def skipped_number(s: Any) -> None:
    s.of("read", "0.0").call = "0.3"
    for line in s.lines:  # everything that named 0.1 names 0.4 now: only the gap is wrong
        line.call = "0.4" if line.call == "0.1" else line.call
        line.body = replaced(line.body, "0.1", "0.4")


def replaced(node: Any, old: str, new: str) -> Any:
    if isinstance(node, dict):
        return {key: replaced(value, old, new) for key, value in node.items()}
    if isinstance(node, list):
        return [replaced(value, old, new) for value in node]
    return new if node == old and isinstance(node, str) else node


def no_undo_data(s: Any) -> None:
    s.drop(s.of("prepared", "0.1"))


def captured_twice(s: Any) -> None:
    s.lines.insert(s.lines.index(s.of("prepared", "0.1")), s.of("prepared", "0.1"))


def captured_too_early(s: Any) -> None:
    s.lines.insert(s.lines.index(s.of("undo")), s.lines.pop(s.lines.index(s.of("prepared", "0.1"))))


def ended_before_it_began(s: Any) -> None:
    s.of("infer").body["began"] = 1e6


def not_a_member(s: Any) -> None:
    s.of("call", "0.1").body["members"] = []


def member_not_undone(s: Any) -> None:
    s.drop(*[s.of(kind, "1.1") for kind in ("undo", "undone", "redo", "redone")], s.of("prepared", "1.1", 1))


def wrong_flag(s: Any) -> None:
    s.of("read", "0.0").body["filtered"] = True


def wrong_value(s: Any) -> None:
    s.of("read", "0.0").body["saw"]["y"]["digest"] = attrs.evolve(s.of("close").body["final"]["y"], text="1")


def wrong_writer(s: Any) -> None:
    s.of("redone", "1.1").body["saw"]["x"]["write"] = None


def result_untold(s: Any) -> None:
    s.of("notify").body["results"] = []


def premise_untold(s: Any) -> None:
    s.of("notify").body["premises"] = []


def told_a_wrong_value(s: Any) -> None:
    s.of("notify").body["premises"][0]["now"] = s.of("close").body["final"]["y"]


def unchanged_claimed(s: Any) -> None:
    s.of("redone", "1.1").body["changed"] = False


def told_downwards(s: Any) -> None:
    s.of("notify").body["by"] = "1.0"


def acts_untold(s: Any) -> None:
    s.moved(lambda: s.read("1.2", {"y": (None, "0")}), s.of("deliver"))


def never_consumed(s: Any) -> None:
    s.drop(s.of("deliver"), s.of("judge"))


def consumed_twice(s: Any) -> None:
    s.moved(lambda: s.deliver(1, 1), s.of("judge"))


def lost(s: Any) -> None:
    s.drop(s.of("redo", "1.1"), s.of("redone", "1.1"), s.of("prepared", "1.1", 1))
    s.of("close").body["final"]["x"] = s.of("applied", "0.1").body["out"]["x"]
    s.of("notify").body["results"] = []


def withdrawn_against_policy(s: Any) -> None:
    s.moved(lambda: s.add("cancelled", 1, "1.1", by="0.1"), s.of("redo", "1.1"))
    lost(s)
    s.of("notify").body["results"] = [{"call": "1.1", "status": "cancelled"}]


def wrongly_restored(s: Any) -> None:
    s.of("undone").body["restored"]["x"] = s.of("applied", "1.1").body["out"]["x"]


def read_inside(s: Any) -> None:
    s.moved(lambda: s.read("0.2", {"y": (None, "0")}), s.of("undone"))


def never_settled(s: Any) -> None:
    s.drop(s.of("settle", "0.1"))


def commits_swapped(s: Any) -> None:
    low = s.of("commit", nth=0)
    s.drop(low)
    s.lines.insert(s.lines.index(s.of("close")), low)


def acts_when_finished(s: Any) -> None:
    s.moved(lambda: s.read("1.2", {"y": (None, "0")}), s.of("call", "0.1"))


def never_commits(s: Any) -> None:
    s.drop(s.of("commit", nth=1))


def irreversible_too_early(s: Any) -> None:
    s.of("call", "1.1").body["invertible"] = False
    s.drop(s.of("prepared", "1.1"), s.of("prepared", "1.1", 1))


def inverse_denied(s: Any) -> None:
    s.of("call", "0.1").body["invertible"] = False


def abandoned(s: Any) -> None:
    s.moved(lambda: s.add("abort", 1, None), s.of("commit", nth=1))


def told_of_another_call(s: Any) -> None:
    s.of("notify").body["by"] = "0.0"


def stranger(s: Any) -> None:
    old, new = s.of("close").body["final"]["y"], attrs.evolve(s.of("close").body["final"]["y"], text="theirs")
    s.moved(lambda: s.add("external", None, None, object="y", expected=old, found=new), s.of("close"))
    s.of("close").body["final"]["y"] = new


def other_end(s: Any) -> None:
    s.of("close").body["final"]["x"] = s.of("close").body["final"]["y"]


def failure_untold(s: Any) -> None:
    s.moved(lambda: s.fail("1.2", ["y"], ["y"]), s.of("finish"))
    s.moved(lambda: s.write("0.2", {"y": (None, "0")}, {"y": "1"}), s.of("finish", nth=1))
    s.of("close").body["final"]["y"] = attrs.evolve(s.of("close").body["final"]["y"], text="1")


def malformed(s: Any) -> None:
    s.of("judge").body["verdict"] = "maybe"


def unknown_call(s: Any) -> None:
    s.of("settle", "0.1").body["stale"].append("1.9")


def field_missing(s: Any) -> None:
    del s.of("infer").body["steps"]


def unknown_agent(s: Any) -> None:
    s.of("infer").agent = 5


def out_of_footprint(s: Any) -> None:
    s.of("call", "1.1").body["reads"] = ["x", "y"]


def told_of_nothing(s: Any) -> None:
    s.of("judge").body["ids"] = [4]


BAD = [
    (malformed, {"log.body"}),
    (unknown_call, {"log.body"}),
    (field_missing, {"log.body"}),
    (unknown_agent, {"log.body"}),
    (out_of_footprint, {"log.body"}),
    (told_of_nothing, {"log.body"}),
    (misnumbered_launch, {"log.launch-order"}),
    (skipped_number, {"log.call-order"}),
    (ended_before_it_began, {"log.time"}),
    (no_undo_data, {"run.phases"}),
    (captured_twice, {"run.captured"}),
    (captured_too_early, {"run.captured"}),
    (not_a_member, {"run.order-respected"}),
    # the low write lands on the high one: it did not read what is below it, and what lies on top is no serial outcome
    (member_not_undone, {"run.order-respected", "run.final-state", "run.premise-told", "run.serializable"}),
    (wrong_flag, {"run.filtered-read"}),
    (wrong_writer, {"run.filtered-read"}),
    # an author who goes by a value that never was is told wrongly, and no serial run gives it
    (wrong_value, {"run.filtered-read", "run.premise-told", "run.serializable"}),
    (result_untold, {"run.premise-told"}),
    (unchanged_claimed, {"run.premise-told"}),
    # the stale premise is that B read x before A wrote it: the graph has B before A
    (told_a_wrong_value, {"run.premise-told", "run.serializable"}),
    (premise_untold, {"run.premise-told", "run.serializable"}),
    (failure_untold, {"run.failure-told"}),
    (told_downwards, {"run.one-way"}),
    (acts_untold, {"run.consumed-before-action"}),
    (consumed_twice, {"run.consumed-before-action"}),
    # what is never consumed is never known, and the author must not commit
    (never_consumed, {"run.consumed-before-action", "run.commit-order", "run.premise-told", "run.serializable"}),
    (lost, {"run.no-lost-call"}),
    # nor is it told what there is now where the withdrawn call had read
    (withdrawn_against_policy, {"run.no-lost-call", "run.premise-told"}),
    (wrongly_restored, {"run.undo-restores"}),
    (read_inside, {"run.repair-atomic"}),
    (never_settled, {"run.repair-atomic"}),
    (commits_swapped, {"run.commit-order"}),
    (acts_when_finished, {"run.commit-order"}),
    (never_commits, {"run.commit-order"}),
    (irreversible_too_early, {"run.gate"}),
    (inverse_denied, {"run.phases"}),
    (abandoned, {"run.abort"}),
    (told_of_another_call, {"run.one-way"}),
    (stranger, {"run.external"}),
    (other_end, {"run.final-state"}),
]


def test_a_correct_repair_passes_every_check(good: Any, written: Written) -> None:
    report = check(written(good))
    assert report.problems == () and report.complete
    assert (report.status, report.exit_code, report.agents) == ("holds", 0, ("A", "B"))
    assert [f.check.id for f in report.findings] == list(CHECKS)
    assert {f.verdict for f in report.findings} == {"holds"}


@pytest.mark.parametrize(("break_it", "expected"), BAD, ids=[edit.__name__ for edit, _ in BAD])
def test_a_broken_log_is_caught_by_its_check(
    good: Any, written: Written, break_it: Callable[[Any], None], expected: set[str]
) -> None:
    break_it(good)
    report = check(written(good))
    assert {p.property for p in report.problems} == expected
    assert report.exit_code == 1
    assert all(p.where and p.what and "\n" not in str(p) for p in report.problems)
    assert {f.check.id for f in report.findings if f.verdict == "violated"} == expected


TAMPERED = {
    "log.chain": "UPDATE records SET digest = replace(digest, substr(digest, 1, 1), 'g') WHERE seq = 3",
    "log.gap": 'DELETE FROM records WHERE record LIKE \'%"kind":"judge"%\'',
    "log.value": "UPDATE \"values\" SET value = x'00' WHERE value = CAST('thinking' AS BLOB)",
}


@pytest.mark.parametrize("property", sorted(TAMPERED))
def test_a_tampered_file_is_caught(good: Any, written: Written, property: str) -> None:
    run = written(good)
    with sqlite3.connect(run.path) as db:
        assert db.execute(TAMPERED[property]).rowcount == 1
    db.close()
    assert ids(read_log(run.path)) == {property}


def test_every_check_has_a_log_that_breaks_it_alone_or_nearly() -> None:
    caught = {id for _, expected in BAD for id in expected} | set(TAMPERED)
    assert caught == set(CHECKS)
    alone = {id for _, expected in BAD if len(expected) == 1 for id in expected} | set(TAMPERED)
    assert set(CHECKS) - alone == {"run.serializable"}  # alone in naive runs, below


# -- runs without coordination -------------------------------------------------------------------------------------


def lost_update(script: Any) -> Any:
    s = script("naive", "AB", {"x": "0"})
    s.read("0.0", {"x": (None, "0")})
    s.read("1.0", {"x": (None, "0")})
    s.write("1.1", {}, {"x": "1"})
    s.write("0.1", {}, {"x": "2"})
    return s.ended({"x": "2"})


def write_skew(script: Any) -> Any:
    s = script("naive", "AB", {"x": "0", "y": "0"})
    s.read("0.0", {"x": (None, "0"), "y": (None, "0")})
    s.read("1.0", {"x": (None, "0"), "y": (None, "0")})
    s.write("0.1", {}, {"x": "1"})
    s.write("1.1", {}, {"y": "1"})
    return s.ended({"x": "1", "y": "1"})


def read_skew(script: Any) -> Any:
    s = script("naive", "AB", {"x": "0", "y": "0"})
    s.read("0.0", {"x": (None, "0")})
    s.write("1.0", {}, {"x": "1", "y": "1"})
    s.read("0.1", {"y": ("1.0", "1")})
    return s.ended({"x": "1", "y": "1"})


def phantom(script: Any) -> Any:
    s = script("naive", "AB", {"d/": "a", "d/a": "0"})
    s.read("0.0", {"d/": (None, "a")})
    s.read("1.0", {"d/a": (None, "0")})
    s.write("1.1", {}, {"d/": "a b", "d/b": "0"})
    s.write("0.1", {}, {"d/a": "1"})
    return s.ended({"d/": "a b", "d/a": "1", "d/b": "0"})


def dirty_write(script: Any) -> Any:
    s = script("naive", "AB", {"x": "0", "y": "0"})
    s.write("0.0", {}, {"x": "a"})
    s.write("1.0", {}, {"x": "b"})
    s.write("1.1", {}, {"y": "b"})
    s.write("0.1", {}, {"y": "a"})
    return s.ended({"x": "b", "y": "a"})


def intermediate_read(script: Any) -> Any:
    s = script("naive", "AB", {"x": "0"})
    s.write("0.0", {}, {"x": "half"})
    s.read("1.0", {"x": ("0.0", "half")})
    s.write("0.1", {}, {"x": "whole"})
    return s.ended({"x": "whole"})


def information_flow(script: Any) -> Any:
    s = script("naive", "AB", {"x": "0", "y": "0"})
    s.write("0.0", {}, {"x": "a"})
    s.write("1.0", {}, {"y": "b"})
    s.read("0.1", {"y": ("1.0", "b")})
    s.read("1.1", {"x": ("0.0", "a")})
    return s.ended({"x": "a", "y": "b"})


def failed_on_less(script: Any) -> Any:
    s = script("naive", "AB", {"x": "0", "y": "0"})
    s.fail("0.0", ["x"], ["x"])
    s.write("1.0", {}, {"x": "1"})
    s.write("1.1", {}, {"y": "1"})
    s.read("0.1", {"y": ("1.1", "1")})
    return s.ended({"x": "1", "y": "1"})


def ring_of_three(script: Any) -> Any:
    s = script("naive", "ABC", {"x": "0", "y": "0", "z": "0"})
    for rank, o in enumerate("xyz"):
        s.read(f"{rank}.0", {o: (None, "0")})
    for rank, o in enumerate("yzx"):
        s.write(f"{rank}.1", {}, {o: "1"})
    return s.ended({"x": "1", "y": "1", "z": "1"})


ANOMALIES = [
    (lost_update, "lost update", "A read x (0.0) before B's write 1.1 of it"),
    (write_skew, "write skew", "B read x (1.0) before A's write 0.1 of it"),
    (read_skew, "read skew", "A read y (0.1) as B's write 1.0 had left it"),
    (phantom, "phantom", "A read d/ (0.0) before B's write 1.1 of it"),
    (dirty_write, "dirty write", "B's write 1.0 of x replaced A's write 0.0"),
    (intermediate_read, "read skew", "B read x (1.0) as A's write 0.0 had left it"),
    (information_flow, "circular information flow", "A read y (0.1) as B's write 1.0 had left it"),
    (failed_on_less, "read skew", "A read x (0.0) before B's write 1.0 of it"),
    (ring_of_three, "write skew", "C read z (2.0) before B's write 1.1 of it"),
]


@pytest.mark.parametrize(("make", "name", "reason"), ANOMALIES, ids=[row[0].__name__ for row in ANOMALIES])
def test_a_naive_run_with_an_anomaly_is_not_serializable(
    script: Any, written: Written, make: Callable[[Any], Any], name: str, reason: str
) -> None:
    report = check(written(make(script)))
    assert [p.property for p in report.problems] == ["run.serializable"]
    assert name in report.problems[0].what and reason in report.problems[0].what


def test_a_naive_run_is_serializable_in_an_order_that_it_did_not_claim(script: Any, written: Written) -> None:
    s = script("naive", "AB", {"x": "0"})
    s.write("1.0", {"x": (None, "0")}, {"x": "1"})
    s.write("0.0", {"x": ("1.0", "1")}, {"x": "2"})
    report = check(written(s.ended({"x": "2"})))
    assert report.status == "holds"
    asked = {f.check.id: f.verdict for f in report.findings}
    assert asked["run.order-respected"] == asked["run.gate"] == "not asked" and asked["run.serializable"] == "holds"


def test_a_serial_run_claims_its_order(script: Any, written: Written) -> None:
    s = script("serial", ["A", "B"], {"x": "0"})
    s.write("1.0", {"x": (None, "0")}, {"x": "1"})
    s.write("0.0", {"x": ("1.0", "1")}, {"x": "2"})
    assert {"run.order-respected", "run.serializable"} <= ids(written(s.ended({"x": "2"})))


def test_a_naive_read_must_have_seen_what_was_live(script: Any, written: Written) -> None:
    s = script("naive", "AB", {"x": "0"})
    s.write("0.0", {}, {"x": "1"})
    s.read("1.0", {"x": (None, "0")})
    assert ids(written(s.ended({"x": "1"}))) == {"run.filtered-read"}


def test_repairs_do_not_occur_without_coordination(script: Any, written: Written) -> None:
    s = script("naive", "A", {"x": "0"})
    s.write("0.0", {}, {"x": "1"})
    s.settle("0.0")
    assert ids(written(s.ended({"x": "1"}))) == {"log.body"}


# -- notifications that cancel out, equal values, multi-object repairs ---------------------------------------------


def test_a_value_that_went_back_needs_no_news(script: Any, written: Written) -> None:
    s = script("mtpo", ["A", "B"], {"x": "0"})
    s.read("1.0", {"x": (None, "0")})
    s.write("0.0", {}, {"x": "1"})
    s.of("settle", "0.0").body["stale"] = ["1.0"]
    s.notify(1, 1, "0.0", [("1.0", "x", "0", "1", "0.0")])
    s.write("0.1", {}, {"x": "0"})
    s.of("settle", "0.1").body["stale"] = ["1.0"]
    s.notify(2, 1, "0.1")
    s.deliver(1, 1, 2)
    s.plain("finish", 0)
    s.plain("commit", 0)
    s.plain("finish", 1)
    s.plain("commit", 1)
    s.close({"x": "0"})
    assert ids(written(s)) == set()


def test_a_change_after_the_notification_must_be_told_too(script: Any, written: Written) -> None:
    s = script("mtpo", ["A", "B"], {"x": "0"})
    s.read("1.0", {"x": (None, "0")})
    s.write("0.0", {}, {"x": "1"})
    s.notify(1, 1, "0.0", [("1.0", "x", "0", "1", "0.0")])
    s.write("0.1", {}, {"x": "2"})
    s.deliver(1, 1)
    s.plain("finish", 0)
    s.plain("commit", 0)
    s.plain("finish", 1)
    s.plain("commit", 1)
    s.close({"x": "2"})
    assert "run.premise-told" in ids(written(s))


def test_a_write_that_leaves_the_value_equal_needs_no_notification(script: Any, written: Written) -> None:
    s = script("mtpo", ["A", "B"], {"x": "0"})
    s.read("1.0", {"x": (None, "0")})
    s.write("0.0", {}, {"x": "0"})
    s.plain("finish", 0)
    s.plain("commit", 0)
    s.plain("finish", 1)
    s.plain("commit", 1)
    s.close({"x": "0"})
    assert ids(written(s)) == set()


def test_reading_live_state_above_its_position_is_late_without_a_common_write(script: Any, written: Written) -> None:
    """a1 writes q; a0 reads q and writes p: no object is written by both, yet a0 must not run on a1's q."""
    s = script("mtpo", ["A", "B"], {"p": "0", "q": "0"})
    s.write("1.0", {}, {"q": "1"})
    s.write("0.0", {"q": (None, "0")}, {"p": "1"})
    s.plain("finish", 0)
    s.plain("commit", 0)
    s.plain("finish", 1)
    s.plain("commit", 1)
    s.close({"p": "1", "q": "1"})
    assert ids(written(s)) == {"run.order-respected"}


# -- unfinished and odd logs ---------------------------------------------------------------------------------------


def test_a_log_without_its_end_is_incomplete_not_violated(good: Any, written: Written) -> None:
    for cut in (1, 3, 6, 12, 20):
        del good.lines[-cut:]
        report = check(written(good))
        assert (report.status, report.exit_code) == ("incomplete", 3)
        assert report.unfinished[0].property == "log.incomplete"
        if len(good.lines) < 5:
            break


def test_a_violation_wins_over_an_open_end(good: Any, written: Written) -> None:
    wrong_flag(good)
    del good.lines[-1]
    assert check(written(good)).exit_code == 1


def test_a_halted_run_is_incomplete_and_says_why(good: Any, written: Written) -> None:
    close = good.of("close")
    close.body |= {"outcome": "halted", "error": "core.inverse-runs: the disk is full"}
    report = check(written(good))
    assert report.status == "incomplete" and "the disk is full" in report.unfinished[0].what


def test_a_committed_agent_is_judged_before_the_end(good: Any, written: Written) -> None:
    premise_untold(good)
    del good.lines[-1]
    assert ids(written(good)) == {"run.premise-told", "run.serializable"}


def test_a_kind_without_rules_is_not_passed_over(good: Any, written: Written) -> None:
    good.moved(lambda: good.add("recover", None, None), good.of("close"))
    report = check(written(good))
    assert report.status == "incomplete" and report.unfinished[0].property == "log.unjudged"


def test_an_empty_log_and_one_that_does_not_open(script: Any, written: Written) -> None:
    s = script("naive", "A", {})
    s.lines.clear()
    assert check(written(s)).status == "incomplete"
    s.plain("finish", 0)
    report = check(written(s))
    assert report.status == "violated" and report.mode is None and "run-open" in report.problems[0].what


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_log_makes_the_checker_fail(data: st.DataObject, written: Written, script: Any) -> None:
    """Lines dropped, doubled and swapped at random: an answer, never an exception; most often a violation."""
    s = repaired_copy(script)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(1, len(s.lines) - 2))
        match data.draw(st.sampled_from(["drop", "double", "swap"])):
            case "drop":
                del s.lines[place]
            case "double":
                s.lines.insert(place, s.lines[place])
            case "swap":
                s.lines[place], s.lines[place + 1] = s.lines[place + 1], s.lines[place]
    report = check(written(s))
    assert report.status in ("holds", "violated", "incomplete")
    assert report.as_json()["problems"] == [attrs.asdict(p) for p in report.problems]


def repaired_copy(script: Any) -> Any:
    s = script("mtpo", ["A", "B"], {"x": "0", "y": "0"})
    s.read("1.0", {"x": (None, "0")})
    s.write("1.1", {"x": (None, "0")}, {"x": "0b"})
    s.call("0.0", ["x"], ["x"], ["1.1"])
    s.undo("1.1", "0.0", {"x": "0"})
    s.act("0.0", {"x": (None, "0")}, {"x": "0a"})
    s.redo("1.1", "0.0", {"x": ("0.0", "0a")}, {"x": "0ab"}, True)
    s.settle("0.0", "1.0", "1.1")
    s.notify(1, 1, "0.0", [("1.0", "x", "0", "0a", "0.0")], [("1.1", "changed")])
    s.deliver(1, 1)
    for rank in (0, 1):
        s.plain("finish", rank)
        s.plain("commit", rank)
    s.close({"x": "0ab", "y": "0"})
    return s
