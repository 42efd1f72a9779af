"""timeline_of on hand-made logs of several shapes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtpo.spec.records import GENESIS, KINDS, VERSION, Record
from mtpo_core.view import Timeline, ViewError, render, timeline_of
from mtpo_core.view.shapes import Mark


def drawn(log: Any, **more: Any) -> Timeline:
    return timeline_of(log.records, log.values, **more)


def marks(line: Timeline) -> dict[str, Mark]:
    return {mark.id: mark for mark in line.marks}


def words(mark: Mark) -> str:
    return " ".join(f"{field.label} {field.text}" for field in mark.fields)


def test_lanes_are_in_rank_order_whatever_the_launch_order(new_log: Any) -> None:
    log = new_log("mtpo")
    for rank in (2, 0, 1):
        log.launch(rank, f"agent {rank}")
    assert [lane.rank for lane in drawn(log).lanes] == [0, 1, 2]


def test_a_notification_points_from_writer_to_reader(canary_logs: Any) -> None:
    line = drawn(canary_logs["mtpo"], right=True)
    (arrow,) = [one for one in line.arrows if one.kind == "notify"]
    assert (arrow.source_lane, arrow.target_lane, arrow.open) == (0, 1, False)
    assert arrow.source == "call:0.2"
    told = marks(line)[arrow.target or ""]
    assert told.kind == "told"
    assert told.label == "told: repair"
    shown = [(row.op, row.text) for field in arrow.fields for row in field.diff]
    assert ("-", "image: registry/app:1.4.2") in shown
    assert ("+", "image: registry/app:1.4.3") in shown
    assert line.verdict.tone == "good"
    assert "A < B" in line.verdict.sentence


def test_a_naive_run_shows_the_cycle_that_has_no_serial_order(canary_logs: Any) -> None:
    line = drawn(canary_logs["naive"], right=False)
    circle = [one for one in line.arrows if one.kind == "conflict"]
    assert [(one.source_lane, one.target_lane) for one in circle] == [(0, 1), (1, 0)]
    assert line.verdict.tone == "bad"
    assert any("B read deploy/geo.yaml before A wrote it" in reason for reason in line.verdict.reasons)
    assert line.serial_end is None
    assert {fact.label: fact.value for fact in line.facts}["Final state"] == "wrong"


def test_a_serial_run_has_no_cycle(canary_logs: Any) -> None:
    line = drawn(canary_logs["serial"])
    assert not line.arrows
    assert line.verdict.tone == "plain"
    assert "Not checked" in line.verdict.sentence


def test_undone_writes_are_struck_and_linked_to_redo_or_reissue(reversed_log: Any) -> None:
    line = drawn(reversed_log)
    found = marks(line)
    assert found["call:1.1"].struck
    assert found["call:2.2"].struck
    assert not found["call:2.1"].struck
    targets = {link.target for field in found["call:1.1"].fields for link in field.links}
    assert {"call:0.1", "redone:1.1:0"} <= targets
    lost = {link.target for field in found["call:2.2"].fields for link in field.links}
    assert "call:2.3" in lost
    arrows = {(one.kind, one.source, one.target) for one in line.arrows}
    assert ("undo", "call:0.1", "undone:1.1:0") in arrows
    assert ("redo", "undone:1.1:0", "redone:1.1:0") in arrows
    assert ("redo", "stranded:2.2", "call:2.3") in arrows


def test_gates_and_bounces_are_shown(reversed_log: Any) -> None:
    line = drawn(reversed_log)
    (held,) = [span for span in line.spans if span.kind == "held"]
    assert (held.label, held.start, held.end, held.of) == ("waits for platform", 7.01, 9.1, "call:1.2")
    (bounce,) = [mark for mark in line.marks if mark.kind == "bounce"]
    assert [link.target for field in bounce.fields for link in field.links] == ["note:n1"]


def test_a_trajectory_is_in_rank_order_and_agrees_with_the_live_value(reversed_log: Any) -> None:
    line = drawn(reversed_log)
    one = {item.object: item for item in line.trajectories}["config/limits.yaml"]
    assert [(entry.mark, entry.struck) for entry in one.entries] == [
        ("call:0.1", False),
        ("call:1.1", False),
        ("call:2.2", True),
        ("call:2.3", False),
    ]
    assert one.agrees is True
    assert [row.text for row in one.entries[1].diff if row.op == "+"] == ["gateway: 50"]


def test_the_serial_schedule_runs_agents_one_after_the_other(reversed_log: Any) -> None:
    line = drawn(reversed_log)
    blocks = {
        lane.rank: [span.serial for span in line.spans if span.lane == lane.rank and span.serial is not None]
        for lane in line.lanes
    }
    for rank in (0, 1):
        assert max(end for _, end in blocks[rank]) <= min(start for start, _ in blocks[rank + 1]) + 1e-9
    assert line.serial_end == pytest.approx(max(end for _, end in blocks[2]))
    found = marks(line)
    assert found["call:2.2"].serial is None  # withdrawn: the serial run never had it
    assert found["call:1.1"].serial is not None  # re-applied: the serial run has it once
    assert found["redone:1.1:0"].serial is None
    assert all(mark.serial is None for mark in line.marks if mark.kind in ("told", "bounce", "undone", "stranded"))


@pytest.mark.parametrize("mode", ["serial", "naive", "mtpo"])
def test_every_prefix_of_a_log_can_be_drawn(canary_logs: Any, reversed_log: Any, mode: str) -> None:
    for log in (canary_logs[mode], *([reversed_log] if mode == "mtpo" else [])):
        for length in range(1, len(log.records)):
            line = timeline_of(log.records[:length], log.values)
            assert line.verdict.tone == "warn"
            assert line.verdict.sentence.startswith("Incomplete")
            ids = [item.id for item in (*line.spans, *line.marks, *line.arrows)]
            assert len(ids) == len(set(ids))


def test_a_cut_log_shows_what_was_under_way(reversed_log: Any) -> None:
    until = next(i for i, record in enumerate(reversed_log.records) if record.kind == "exec")
    line = timeline_of(reversed_log.records[: until + 1], reversed_log.values)
    assert "no outcome in the log" in words(marks(line)["call:1.1"])
    sent = next(i for i, record in enumerate(reversed_log.records) if record.kind == "notify")
    cut = timeline_of(reversed_log.records[: sent + 1], reversed_log.values)
    assert [arrow.open for arrow in cut.arrows if arrow.kind == "notify"] == [True]


def test_redacted_binary_and_absent_values_say_what_they_are(new_log: Any) -> None:
    log = new_log("mtpo", {"a": "old\n", "b": "kept\n"})
    log.launch(0, "A")
    log.write(0.5, "0.0", "write_file", {"a": "secret\n"})
    log.write(0.9, "0.1", "write_file", {"b": None})
    log.close(1.0)
    del log.values[log.put("secret\n")]
    log.values[log.put("old\n")] = b"\xff\xfe\x00"
    line = drawn(log)
    one = {item.object: item for item in line.trajectories}
    assert one["a"].entries[0].value.startswith("(redacted")
    assert one["a"].initial == "(3 bytes, not text: ff fe 00)"
    assert one["b"].entries[0].value == "(absent)"
    assert "secret" not in render(line)


def test_failed_calls_and_outside_changes(new_log: Any) -> None:
    log = new_log("mtpo", {"a": "x\n"})
    log.launch(0, "A")
    log.call(0.5, "0.0", "replace", ["a"])
    log.add("failed", 0.6, 0, "0.0", error="replace: 'y' is not in a")
    log.add("external", 0.7, object="a", expected=log.put("x\n"), found=log.put("z\n"))
    log.state["a"] = "z\n"
    log.add("abort", 0.8, 0)
    log.close(0.9)
    line = drawn(log)
    assert marks(line)["call:0.0"].kind == "failed"
    assert "'y' is not in a" in words(marks(line)["call:0.0"])
    assert not line.trajectories
    assert line.verdict.tone == "warn"
    assert "A did not commit" in line.verdict.sentence
    assert line.verdict.reasons == ("1 change came from outside the run.",)


def test_a_halted_run_gives_its_error(new_log: Any) -> None:
    log = new_log("mtpo")
    log.close(0.5, "halted", "the disk is full")
    assert drawn(log).verdict.sentence == "Halted: the disk is full"


def test_an_empty_log_is_one_clear_error() -> None:
    with pytest.raises(ViewError, match="no records"):
        timeline_of([], {})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4), lambda inner: st.lists(inner, max_size=2)
)
fields = st.sampled_from(
    ["tool", "args", "saw", "writes", "out", "by", "ids", "id", "premises", "results", "waits_for", "steps", "began"]
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(KINDS)),
            st.none() | st.integers(0, 2),
            st.none() | st.sampled_from(["0.0", "1.0", "1.1", "x", "2.²"]),
            st.dictionaries(fields, json_values, max_size=4),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_a_log_with_odd_bodies_is_drawn_all_the_same(
    rows: list[tuple[str, int | None, str | None, dict[str, Any]]],
) -> None:
    records = [
        Record(VERSION, "r", seq, seq / 10, agent, call, kind, body, GENESIS)
        for seq, (kind, agent, call, body) in enumerate(rows)
    ]
    line = timeline_of(records, {})
    assert line.verdict.sentence
    assert render(line).endswith("</html>\n")
