"""Real logs without one of their records: for every kind what is wrong is told by the clause that is false, or by what
the first record lacks; and the step that was left out is among those that would mend it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

from mtpo.proofs.replay.judge import REPLAY, Judgment, judge
from mtpo.proofs.replay.numbering import STEPS
from mtpo.proofs.replay.shrink import Trouble, chained, rechained, shrink
from mtpo.proofs.replay.unmatched import Unmatched, unmatched
from mtpo.spec.records import Record, value_digest
from mtpo_core.cli import main
from mtpo_core.log import LoggedRun, read_log
from mtpo_core.loglines import export_jsonl


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, LoggedRun]:
    """The logs of the built-in cases."""
    folder, made = tmp_path_factory.mktemp("cases"), {}
    for case, policy in (("canary", "replay"), ("canary", "cancel"), ("release", "replay")):
        log = folder / f"{case}-{policy}.log"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                "sys.argv", ["mtpo", "run", case, "--policy", policy, "--inference", "none", "--log", str(log)]
            )
            with pytest.raises(SystemExit):
                main()
        made[f"{case}-{policy}"] = read_log(log)
    return made


def why(run: LoggedRun, found: Judgment) -> Unmatched | None:
    if found.replay is None or found.replay.refused is None or found.readable is None:
        return None
    read = found.readable
    return unmatched(read.records, found.replay.refused, value_digest(run.salt, None), beside=read.beside)


def without(run: LoggedRun, gone: Iterable[Record]) -> LoggedRun:
    left = {r.seq for r in run.records} - {r.seq for r in gone}
    return chained(run, [r for r in run.records if r.seq in left])


NONE = ("", "")
BY_KIND = {
    "run-open": ("log.body", ""),
    "launch": ("log.launch-order", "mtpo.launch.rank-order"),
    "read": ("log.call-order", ""),
    "call": ("log.body", "mtpo.applied.its-turn"),
    "prepared": ("run.phases", ""),
    "exec": ("run.captured", ""),
    "applied": ("run.repair-atomic", "mtpo.settle.landed"),
    "settle": ("run.repair-atomic", "mtpo.read.one-at-a-time"),
    "notify": ("mtpo.settled-told", ""),
    "reopen": ("run.commit-order", "mtpo.deliver.at-work"),
    "deliver": ("run.consumed-before-action", "mtpo.call.inbox-empty"),
    "finish": ("run.commit-order", "mtpo.reopen.finished"),
    "undo": ("run.phases", ""),
    "undone": ("run.order-respected", "mtpo.undone.top-only"),
    "redo": ("run.captured", ""),
    "redone": ("mtpo.redone.ascending", "mtpo.redone.ascending"),
    "commit": ("run.commit-order", "mtpo.commit.lower-committed"),
    "infer": NONE,
    "judge": NONE,
    "close": NONE,
}
"""Of the first record of each kind, when it is left out: the property that is violated first, and the false clause.
What was inferred and judged is no part of what a run must have; without its close a run is cut short."""


def test_for_every_kind_the_first_record_left_out_is_told(logs: Mapping[str, LoggedRun]) -> None:
    run = logs["canary-replay"]
    found = {}
    for kind in dict.fromkeys(r.kind for r in run.records):
        cut = without(run, [next(r for r in run.records if r.kind == kind)])
        judged = judge(cut)
        told = why(cut, judged)
        found[kind] = (judged.problems[0].property if judged.problems else "", told.clauses[0].id if told else "")
        assert judged.exit_code == (3 if kind == "close" else int(BY_KIND[kind] != NONE)), kind
        if told is not None:
            assert judged.replay is not None and judged.replay.problems[0].property == told.clauses[0].id
            assert all(clause.facts for clause in told.clauses), kind
    assert found == BY_KIND


MENDED = {"canary-replay": 44, "canary-cancel": 45, "release-replay": 57}


@pytest.mark.parametrize("case", MENDED)
def test_the_step_that_was_left_out_is_among_those_that_would_mend_it(logs: Mapping[str, LoggedRun], case: str) -> None:
    """Each record in turn but the first. The replay is asked always; where it stops, the step is found again."""
    run, mended = logs[case], 0
    for left in run.records[1:]:
        cut = without(run, [left])
        judged = judge(cut)
        row = judged.certificate.properties[-1]
        assert row.id == REPLAY and row.verdict != "not asked"
        if left.kind not in STEPS:
            continue
        assert judged.exit_code == 1, left
        told = why(cut, judged)
        if told is not None and left.kind != "read":
            name = f"{left.kind} of rank {left.agent}" if left.call is None else f"{left.kind} {left.call}"
            steps = [step for clause in told.clauses for remedy in clause.remedies for step in remedy.steps]
            assert any(step == name or step.startswith(f"{name} with ") for step in steps), (left.seq, name)
            mended += 1
    assert mended == MENDED[case]


def test_all_records_of_a_kind(logs: Mapping[str, LoggedRun]) -> None:
    run = logs["canary-replay"]
    cut = rechained(run, [r for r in run.records if r.kind != "undone"])
    told = why(cut, judge(cut))
    assert told is not None and told.clauses[0].id == "mtpo.applied.all-undone"
    assert sorted(told.clauses[0].remedies[0].steps) == ["undone 1.4", "undone 1.5", "undone 1.6"]
    assert any(step.startswith("undone ") for step in told.instead)
    cut = rechained(run, [r for r in run.records if r.kind not in ("reopen", "deliver")])
    told = why(cut, judge(cut))
    assert told is not None
    assert [str(clause.remedies[0]) for clause in told.clauses] == ["reopen of rank 1, then deliver of rank 1"] * 2


@pytest.mark.parametrize("kind", ["deliver", "notify", "launch", "settle"])
def test_what_is_wrong_stays_so_when_such_a_log_is_shrunk(logs: Mapping[str, LoggedRun], kind: str) -> None:
    run = logs["canary-replay"]
    cut = without(run, [next(r for r in run.records if r.kind == kind)])
    trouble = Trouble.of(judge(cut))
    assert trouble is not None and trouble.clause.startswith("mtpo.")
    found = shrink(cut)
    assert Trouble.of(judge(found.run)) == found.trouble == trouble
    assert len(found.run.records) < len(cut.records) // 4


@pytest.mark.parametrize("kind", ["deliver", "launch"])
def test_verify_tells_it(logs: Mapping[str, LoggedRun], tmp_path: Path, kind: str, capsys: Any) -> None:
    run = logs["canary-replay"]
    cut, path = without(run, [next(r for r in run.records if r.kind == kind)]), tmp_path / "cut.jsonl"
    path.write_text("".join(f"{line}\n" for line in export_jsonl(cut)), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as stopped:
        patch.setattr("sys.argv", ["mtpo", "verify", str(path)])
        main()
    out = capsys.readouterr().out
    first, clause = BY_KIND[kind]
    assert stopped.value.code == 1 and f"violated    {first}: record " in out
    assert f"{clause} is false: " in out and "  it would hold after: " in out and "not possible: " in out
    assert "the records are not those of a run (log." in out


# -- what can't be read --------------------------------------------------------------------------------------------


def test_damage_and_what_has_no_form_end_the_replay(logs: Mapping[str, LoggedRun]) -> None:
    run = logs["canary-replay"]
    place = next(r.seq for r in run.records if r.kind == "applied")
    odd = attrs.evolve(run.records[place], body={"saw": 1})
    rank = attrs.evolve(run.records[place], agent=10**9, call=f"{10**9}.0")
    for record in (odd, rank):
        found = judge(chained(run, [*run.records[:place], record, *run.records[place + 1 :]]))
        assert found.readable is not None and len(found.readable.records) == place
        assert f"up to record {place}, which can't be read as a step" in found.certificate.properties[-1].note
    torn = attrs.evolve(
        run, rows=(*run.rows[:place], attrs.evolve(run.rows[place], digest="0" * 64), *run.rows[place + 1 :])
    )
    found = judge(torn)
    assert found.readable is not None and len(found.readable.records) == place
    assert found.problems[0].property == "log.chain" and found.certificate.properties[-1].verdict == "incomplete"
