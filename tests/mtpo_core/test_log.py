"""The log: what was appended is there, whatever happens to the process, and every kind of tampering shows."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtpo.spec.records import GENESIS, Record, RecordError, canonical, digest, parse
from mtpo_core.log import LogError, LoggedRun, RunLog, check_chain, read_log, redact
from mtpo_core.logchain import digests_of
from mtpo_core.logfile import LogDamage
from mtpo_core.loglines import export_jsonl, import_jsonl, read_jsonl

SECRET = b"a secret value that is long enough to be looked for in the file"
HEAD_OF: dict[str, str] = {}


def write(path: Path) -> str:
    """A small complete run; returns its head."""
    ticks = itertools.count()
    with RunLog.create(path, "run-1", salt=b"salt" * 4, clock=lambda: next(ticks) / 4) as log:
        log.append("run-open", body={"mode": "mtpo", "initial": {"a": log.put(b"old"), "b": log.put(None)}})
        log.append("launch", agent=0, body={"name": "A", "task": "ü"})
        log.append("call", agent=0, call="0.0", body={"tool": "write_file", "args": log.put(SECRET), "writes": ["a"]})
        log.append("applied", agent=0, call="0.0", body={"out": {"a": log.put(b"\xff")}, "result": log.put(b"done")})
        log.append("close", body={"final": {"a": log.put(b"\xff"), "b": log.put(None)}, "outcome": "complete"})
    return log.head


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "run.mtpo"
    HEAD_OF[str(path)] = write(path)
    return path


def edit(path: Path, *statements: str) -> None:
    db = sqlite3.connect(path)
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.close()


def problems(path: Path) -> list[str]:
    return [str(problem) for problem in check_chain(read_log(path), HEAD_OF[str(path)])]


def test_what_is_appended_is_read_back(path: Path) -> None:
    run = read_log(path)
    assert [record.kind for record in run.records] == ["run-open", "launch", "call", "applied", "close"]
    assert [record.seq for record in run.records] == [0, 1, 2, 3, 4]
    assert [record.t for record in run.records] == [0.25, 0.5, 0.75, 1.0, 1.25]
    assert [record.prev for record in run.records] == [GENESIS, *map(digest, run.records[:-1])]
    assert (run.run, run.head) == ("run-1", digest(run.records[-1]))
    assert run.values[run.records[2].body["args"]] == SECRET
    assert run.values[run.records[0].body["initial"]["b"]] is None
    assert problems(path) == []


def test_a_closed_log_is_a_single_file(path: Path) -> None:
    assert [entry.name for entry in path.parent.iterdir()] == ["run.mtpo"]
    path.chmod(0o400)
    assert len(read_log(path).records) == 5


def test_a_log_is_never_overwritten(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(LogError, match="exists already"):
        RunLog.create(path, "other")
    assert path.read_bytes() == before


def test_a_log_needs_its_folder(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="No such file or directory"):
        RunLog.create(tmp_path / "absent" / "run.mtpo", "r")


def test_a_reader_sees_each_append_at_once(tmp_path: Path) -> None:
    log = RunLog.create(tmp_path / "r", "r")
    for count in range(1, 4):
        log.append("launch", agent=count, body={"name": "n"}, durable=count == 2)
        assert len(read_log(tmp_path / "r").records) == count
    assert {problem.property for problem in check_chain(read_log(tmp_path / "r"))} == {"log.incomplete"}
    log.close()
    log.close()


def test_values_are_there_with_the_record_that_names_them(tmp_path: Path) -> None:
    log = RunLog.create(tmp_path / "r", "r", full=True)
    name = log.put(b"v")
    assert log.put(b"v") == name != log.put(None)
    assert (log.get(name), log.get(log.put(None))) == (b"v", None)
    assert read_log(tmp_path / "r").values == {}
    log.append("applied", body={"result": name})
    assert log.get(name) == read_log(tmp_path / "r").values[name] == b"v"
    unnamed = log.put(b"never named")
    log.close()
    assert read_log(tmp_path / "r").values[unnamed] == b"never named"
    other = RunLog.create(tmp_path / "s", "r")
    with pytest.raises(LogError, match="not in this log"):
        other.get(name)
    assert other.put(b"v") != name, "every run has a salt of its own"
    other.close()


@pytest.mark.parametrize("body", [{"x": b"bytes"}, {"x": float("nan")}, {"x": "\ud800"}, {"x": {1, 2}}])
def test_a_malformed_record_is_refused_and_adds_nothing(tmp_path: Path, body: dict[str, object]) -> None:
    log = RunLog.create(tmp_path / "r", "r")
    with pytest.raises(RecordError, match="record 0: body of 'exec' is not JSON"):
        log.append("exec", body=body)
    with pytest.raises(RecordError, match="unknown kind"):
        log.append("made-up")
    log.append("close")
    log.close()
    assert check_chain(read_log(tmp_path / "r")) == []


@pytest.mark.parametrize("body", [{"x": 2**53 + 1}, {"x": -1e300}, {"x": [[{"y": -(2**60)}]]}])
def test_what_a_reader_would_not_take_is_not_written(tmp_path: Path, body: dict[str, object]) -> None:
    deep: object = 0
    for _ in range(70):
        deep = [deep]
    with RunLog.create(tmp_path / "r", "r") as log:
        for wrong in (body, {"x": deep}):
            with pytest.raises(RecordError, match="record 0: body of 'exec': "):
                log.append("exec", body=wrong)
        log.append("exec", body={"x": [2**53, 1.5, 1e15]})
        log.append("close")
    assert check_chain(read_log(tmp_path / "r")) == []


def test_a_clock_that_is_set_back_does_not_set_the_log_back(tmp_path: Path) -> None:
    times = iter([5.0, 6.0, 7.0, 3.0, 8.0])
    with RunLog.create(tmp_path / "r", "r", clock=lambda: next(times)) as log:
        assert [log.append("exec").t for _ in range(4)] == [1.0, 2.0, 2.0, 3.0]


def test_appends_from_several_threads_make_one_chain(tmp_path: Path) -> None:
    log = RunLog.create(tmp_path / "r", "r")

    def work(agent: int) -> None:
        for count in range(50):
            log.append("exec", agent=agent, body={"result": log.put(b"%d %d" % (agent, count))})

    threads = [threading.Thread(target=work, args=(agent,)) for agent in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.append("close")
    log.close()
    run = read_log(tmp_path / "r")
    assert (check_chain(run), len(run.records), len(run.values)) == ([], 151, 150)


KILLED = """
import sys
from mtpo_core.log import RunLog
log = RunLog.create(sys.argv[1], "killed")
for count in range(10**9):
    record = log.append("exec", agent=0, call=f"0.{count}", body={"result": log.put(b"%d" % count)}, durable=count == 7)
    print(record.seq, flush=True)
"""


def test_a_killed_process_loses_nothing_and_can_be_continued(tmp_path: Path) -> None:
    path = tmp_path / "run.mtpo"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) == 200:
            os.kill(process.pid, signal.SIGKILL)
            break
    acknowledged = max([200, *(int(line) for line in process.stdout.read().split("\n") if line)])
    process.wait()
    process.stdout.close()
    run = read_log(path)
    assert len(run.records) in (acknowledged + 1, acknowledged + 2)
    assert [problem.property for problem in check_chain(run)] == ["log.incomplete"]
    assert set(run.values.values()) == {b"%d" % count for count in range(len(run.records))}

    log, before = RunLog.resume(path)
    assert before == run
    record = log.append("recover", body={})
    assert (record.seq, record.prev) == (len(run.records), run.head)
    assert record.t >= run.records[-1].t
    assert log.put(b"5") in run.values
    log.append("close")
    log.close()
    assert check_chain(read_log(path), log.head) == []
    with pytest.raises(LogError, match="the run is closed"):
        RunLog.resume(path)


def test_a_broken_log_is_not_continued(tmp_path: Path) -> None:
    path = tmp_path / "r"
    log = RunLog.create(path, "r")
    for _ in range(3):
        log.append("exec")
    log.close()
    edit(path, "DELETE FROM records WHERE seq = 1")
    with pytest.raises(LogError, match=r"can't be continued: log.gap: record 2: record 1 missing"):
        RunLog.resume(path)


def test_a_failed_append_leaves_the_chain_whole(tmp_path: Path) -> None:
    path = tmp_path / "r"
    log = RunLog.create(path, "r")
    log.append("exec")
    edit(path, "CREATE TRIGGER full BEFORE INSERT ON records BEGIN SELECT RAISE(FAIL, 'disk full'); END")
    value = log.put(b"kept for the next")
    with pytest.raises(LogError, match="disk full"):
        log.append("exec", body={"result": value}, durable=True)
    edit(path, "DROP TRIGGER full")
    log.append("exec", body={"result": value})
    log.append("close")
    log.close()
    run = read_log(path)
    assert (check_chain(run), len(run.records), run.values[value]) == ([], 3, b"kept for the next")


# Tampering.


def altered(path: Path, seq: int, change: Callable[[Record], Record], *, with_digest: bool) -> None:
    run = read_log(path)
    text = canonical(change(run.records[seq])).decode()
    fresh = digest(parse(text)) if with_digest else run.rows[seq].digest
    db = sqlite3.connect(path)
    db.execute("UPDATE records SET record = ?, digest = ? WHERE seq = ?", (text, fresh, seq))
    db.commit()
    db.close()


def later(record: Record) -> Record:
    return attrs.evolve(record, t=99.0)


def test_a_record_that_was_altered(path: Path) -> None:
    altered(path, 2, later, with_digest=False)
    assert problems(path) == [
        "log.chain: record 2: its text was altered: the digest stored with it is the one that record 3 has in prev",
        "log.chain: record 3: prev is the digest stored with record 2, whose text was altered",
    ]


def test_a_stored_digest_that_was_altered(path: Path) -> None:
    edit(path, "UPDATE records SET digest = 'abc' WHERE seq = 2")
    assert problems(path) == [
        "log.chain: record 2: the digest stored with it was altered: its text has the one that record 3 has in prev",
    ]


@pytest.mark.parametrize(
    ("seq", "besides"),
    [
        (4, ()),
        (2, ("UPDATE records SET record = 'lost' WHERE seq = 3",)),
        (2, ('UPDATE records SET record = replace(record, \'"prev":"\', \'"prev":"0\') WHERE seq = 3',)),
    ],
    ids=["the last", "before what is no record", "before one that has neither"],
)
def test_where_no_record_after_it_knows_it_is_not_said_which_was_altered(
    path: Path, seq: int, besides: tuple[str, ...]
) -> None:
    for statement in (f"UPDATE records SET digest = 'abc' WHERE seq = {seq}", *besides):
        edit(path, statement)
    neither = f"log.chain: record {seq}: altered: its text does not match the digest stored with it"
    assert problems(path)[0] == neither


def test_a_record_that_was_altered_with_its_digest(path: Path) -> None:
    altered(path, 2, later, with_digest=True)
    assert problems(path) == [
        "log.chain: record 3: prev is not the digest of record 2: one of the two was altered",
    ]


def test_a_last_record_that_was_altered_shows_against_the_certificate(path: Path) -> None:
    altered(path, 4, later, with_digest=True)
    assert check_chain(read_log(path)) == []
    assert [line.split(": ")[0] for line in problems(path)] == ["log.head"]


def test_a_chain_that_was_made_anew_shows_against_the_certificate(path: Path, tmp_path: Path) -> None:
    lines = list(export_jsonl(read_log(path)))
    forged, prev = [], GENESIS
    for line in lines:
        if "kind" in json.loads(line):
            record = attrs.evolve(parse(line), prev=prev, t=7.0)
            line, prev = canonical(record).decode(), digest(record)
        forged.append(line)
    import_jsonl(forged, tmp_path / "forged")
    assert check_chain(read_log(tmp_path / "forged")) == []
    found = check_chain(read_log(tmp_path / "forged"), HEAD_OF[str(path)])
    assert [problem.property for problem in found] == ["log.head"]


@pytest.mark.parametrize("seq", [0, 1, 3])
def test_a_record_that_was_dropped(path: Path, seq: int) -> None:
    edit(path, f"DELETE FROM records WHERE seq = {seq}")
    assert problems(path) == [f"log.gap: record {seq + 1}: record {seq} missing before it"]


def test_several_records_that_were_dropped(path: Path) -> None:
    edit(path, "DELETE FROM records WHERE seq IN (1, 2)")
    assert problems(path) == ["log.gap: record 3: records 1 to 2 missing before it"]


def test_a_record_that_was_dropped_and_the_rest_moved_up(path: Path) -> None:
    edit(
        path,
        "DELETE FROM records WHERE seq = 2",
        *(f"UPDATE records SET seq = {n - 1} WHERE seq = {n}" for n in (3, 4)),
    )
    found = problems(path)
    assert found[0] == "log.gap: record 2: out of place: it is record 3 of its run"


def test_records_that_were_reordered(path: Path) -> None:
    edit(path, *(f"UPDATE records SET seq = {new} WHERE seq = {old}" for old, new in ((1, 9), (2, 1), (9, 2))))
    found = problems(path)
    assert "log.gap: record 1: out of place: it is record 2 of its run" in found
    assert "log.gap: record 2: out of place: it is record 1 of its run" in found


def test_a_tail_that_was_cut(path: Path) -> None:
    edit(path, "DELETE FROM records WHERE seq >= 3")
    assert [line.split(": ")[:2] for line in problems(path)] == [
        ["log.incomplete", "record 2"],
        ["log.head", "record 2"],
    ]
    edit(path, "DELETE FROM records")
    assert [line.split(": ")[0] for line in problems(path)] == ["log.incomplete", "log.head"]


def test_a_value_that_was_altered_or_removed(path: Path) -> None:
    name = read_log(path).records[2].body["args"]
    edit(path, f"UPDATE \"values\" SET value = x'00' WHERE digest = '{name}'")
    assert problems(path) == [
        f"log.value: value {name[:12]}: does not match its digest: it was altered; record 2 names it (args)",
    ]
    edit(path, f"DELETE FROM \"values\" WHERE digest = '{name}'")
    assert problems(path) == [
        f"log.value: value {name[:12]}: is neither kept nor redacted: record 2 names it (args)",
    ]


def test_a_value_in_a_state_that_there_is_not(path: Path) -> None:
    name = read_log(path).records[3].body["out"]["a"]
    edit(path, f"UPDATE \"values\" SET state = 'lost' WHERE digest = '{name}'")
    assert problems(path) == [
        f"log.value: value {name[:12]}: its state is 'lost', not kept, absent or redacted: "
        "record 3 names it (out of a)",
    ]


NAMED = (
    ("run-open", {"initial": {"a": "@"}}, "record 0 names it (initial of a)"),
    ("read", {"saw": {"b": {"write": None, "digest": "@"}}}, "record 0 names it (saw of b)"),
    ("external", {"object": "c", "found": "@"}, "record 0 names it (found of c)"),
    ("notify", {"premises": [{"object": "d", "now": "@"}]}, "record 0 names it (premises of d)"),
    ("exec", {"result": "@"}, "record 0 names it (result)"),
    ("exec", {"x": {"y": {"z": {"text": "@"}}}}, "record 0 names it"),
    ("exec", {"note": "@"}, "no record names it"),
)


@pytest.mark.parametrize(("kind", "body", "said"), NAMED)
def test_of_a_value_that_was_altered_the_record_and_the_object_are_said(
    tmp_path: Path, kind: str, body: dict[str, object], said: str
) -> None:
    with RunLog.create(tmp_path / "r", "r") as log:
        name, other = log.put(b"v"), log.put(b"w")
        log.append(kind, body=json.loads(json.dumps(body).replace("@", name)))
        log.append("close", body={"result": other})
    edit(tmp_path / "r", f"UPDATE \"values\" SET value = x'00' WHERE digest = '{name}'")
    (problem,) = check_chain(read_log(tmp_path / "r"))
    assert problem.what == f"does not match its digest: it was altered; {said}"


def test_a_value_that_was_made_absent(path: Path) -> None:
    name = read_log(path).records[2].body["args"]
    edit(path, f"UPDATE \"values\" SET state = 'absent' WHERE digest = '{name}'")
    assert [line.split(": ")[0] for line in problems(path)] == ["log.value"]


@pytest.mark.parametrize("text", ["not json", "{}", '{"v":1}', "", "\ud800"])
def test_a_record_that_is_none(path: Path, text: str) -> None:
    db = sqlite3.connect(path)
    stored = text.encode(errors="surrogatepass")
    db.execute("UPDATE records SET record = CAST(? AS TEXT) WHERE seq = 1", (stored,))
    db.commit()
    db.close()
    found = problems(path)
    assert any(line.startswith("log.chain: record 1: not a canonical record") for line in found)
    assert not any("\n" in line for line in found)


def test_a_record_in_another_form_or_of_another_run(path: Path) -> None:
    run = read_log(path)
    loose = json.dumps(json.loads(run.rows[4].text))
    edit(path, f"UPDATE records SET record = '{loose}' WHERE seq = 4")
    assert any("another form of the same record" in line for line in problems(path))
    altered_path = path.with_name("other")
    HEAD_OF[str(altered_path)] = write(altered_path)
    altered(altered_path, 4, lambda record: attrs.evolve(record, run="run-2"), with_digest=True)
    assert any("belongs to run 'run-2', not to 'run-1'" in line for line in problems(altered_path))


def test_a_record_after_the_close(path: Path) -> None:
    run = read_log(path)
    extra = attrs.evolve(run.records[1], seq=5, prev=run.head)
    edit(path, f"INSERT INTO records VALUES (5, '{canonical(extra).decode()}', '{digest(extra)}')")
    assert any(
        line == "log.body: record 5: follows the close of the run, after which there is nothing"
        for line in problems(path)
    )


@given(data=st.data())
def test_no_single_change_goes_unseen(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("log")
    head = write(folder / "r")
    run = read_log(folder / "r")
    row = data.draw(st.integers(0, len(run.rows) - 1))
    text = run.rows[row].text
    at = data.draw(st.integers(0, len(text) - 1))
    character = data.draw(st.characters(codec="utf-8", exclude_characters=text[at]))
    rows = list(run.rows)
    rows[row] = attrs.evolve(rows[row], text=text[:at] + character + text[at + 1 :])
    assert check_chain(attrs.evolve(run, rows=tuple(rows)), head)


# Redaction.


def test_redaction_drops_the_value_and_keeps_the_chain(path: Path) -> None:
    assert SECRET in path.read_bytes()
    name = read_log(path).records[2].body["args"]
    redact(path, name[:10])
    assert SECRET not in path.read_bytes()
    run = read_log(path)
    assert (run.redacted, name in run.values) == ({name}, False)
    assert problems(path) == []
    assert [entry.name for entry in path.parent.iterdir()] == ["run.mtpo"]
    redact(path, name)


@pytest.mark.parametrize("name", ["", "0" * 64, "x"])
def test_redaction_needs_one_value(path: Path, name: str) -> None:
    with pytest.raises(LogError, match="values begin with"):
        redact(path, name)


def test_a_redacted_value_says_so_when_a_run_goes_on(tmp_path: Path) -> None:
    with RunLog.create(tmp_path / "r", "r") as log:
        name = log.put(b"v")
        log.append("exec", body={"result": name})
    redact(tmp_path / "r", name)
    log, _ = RunLog.resume(tmp_path / "r")
    with pytest.raises(LogError, match="is redacted"):
        log.get(name)
    log.close()


# Files that are no logs, and logs as lines.


def foreign(folder: Path) -> dict[str, Path]:
    empty, text, database, cut = (folder / name for name in ("empty", "text", "database", "cut"))
    empty.touch()
    text.write_text("no database\n" * 100)
    edit(database, "CREATE TABLE t (x)")
    write(folder / "whole")
    cut.write_bytes((folder / "whole").read_bytes()[:6000])
    halved = folder / "halved"
    shutil.copy(folder / "whole", halved)
    edit(halved, "DROP TABLE meta")
    return {path.name: path for path in (empty, text, database, cut, halved, folder / "absent", folder)}


def test_what_is_no_log_is_one_line(tmp_path: Path) -> None:
    for name, path in foreign(tmp_path).items():
        with pytest.raises(LogError) as refusal:
            read_log(path)
        assert str(refusal.value).startswith(f"{path}: "), name
        assert "\n" not in str(refusal.value)


def test_a_log_of_another_version_is_named(path: Path) -> None:
    edit(path, "UPDATE meta SET value = '9' WHERE key = 'version'")
    with pytest.raises(LogError, match="log version '9', this program reads 1"):
        read_log(path)


def same(one: LoggedRun, other: LoggedRun) -> bool:
    return attrs.evolve(one, path="") == attrs.evolve(other, path="")


def test_lines_hold_the_whole_log(path: Path, tmp_path: Path) -> None:
    redact(path, read_log(path).records[2].body["args"])
    run = read_log(path)
    lines = list(export_jsonl(run))
    assert [json.loads(line)["kind"] for line in lines[1:6]] == [record.kind for record in run.records]
    import_jsonl([f"{line}\n" for line in lines], tmp_path / "again")
    assert same(read_log(tmp_path / "again"), run)
    assert len(list(export_jsonl(run, values=False))) == 6


@pytest.mark.parametrize(
    ("place", "line", "why"),
    [
        (0, "{}", "line 1: field 'format' is missing"),
        (0, '{"format": "other", "v": 1}', "line 1: not a header"),
        (0, "not json", "line 1: "),
        (2, "[]", "line 3: not a JSON object"),
        (2, '{"v": 1}', "line 3: missing or unknown field"),
        (
            2,
            f'{{"digest": "{"0" * 64}"}}',
            "line 3: a value has one of text, base64 (both texts), absent (true) and redacted (true)",
        ),
        (2, f'{{"digest": "{"0" * 64}", "base64": "!"}}', "line 3: "),
        (2, f'{{"digest": "{"0" * 64}", "text": 3}}', "line 3: "),
        (2, '{"digest": "0", "text": ""}', "line 3: '0' is no digest"),
        (2, '{"digest": 7, "text": ""}', "line 3: 7 is no digest"),
        (2, "[" * 100_000, "line 3: "),
    ],
)
def test_a_malformed_line_is_named_and_no_file_is_made(
    path: Path, tmp_path: Path, place: int, line: str, why: str
) -> None:
    lines = list(export_jsonl(read_log(path)))
    lines[place] = line
    with pytest.raises(LogError) as refusal:
        import_jsonl(lines, tmp_path / "again")
    assert str(refusal.value).startswith(why)
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "again").exists()


def test_lines_that_repeat_or_are_none_are_refused(path: Path, tmp_path: Path) -> None:
    lines = list(export_jsonl(read_log(path)))
    for wrong, why in (([*lines, lines[1]], "line 12: record 0 is there twice"), ([], "no lines")):
        with pytest.raises(LogError, match=why):
            import_jsonl(wrong, tmp_path / "again")
        assert not (tmp_path / "again").exists()


def test_lines_of_records_out_of_order_are_damage_and_values_stand_anywhere(path: Path, tmp_path: Path) -> None:
    run = read_log(path)
    lines = list(export_jsonl(run))
    header, records, values = lines[0], lines[1:6], lines[6:]
    text = tmp_path / "run.jsonl"
    text.write_text("\n".join([header, *values[::-1], *records]) + "\n")
    found = read_jsonl(text)
    assert (found.rows, found.records, found.values) == (run.rows, run.records, run.values)
    swapped = [header, *records[:2], records[3], values[0], records[2], *records[4:], *values[1:]]
    text.write_text("\n".join(swapped) + "\n")
    why = "line 6: record 2 comes after record 3: records go by their numbers"
    with pytest.raises(LogDamage) as refusal:
        read_jsonl(text)
    assert str(refusal.value) == f"{text}: damaged: {why}"
    with pytest.raises(LogDamage, match=why):
        import_jsonl(swapped, tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_digests_of_a_body() -> None:
    one, two, three, other, five = (str(n) * 64 for n in (1, 2, 3, 4, 5))
    body = {
        "args": one,
        "saw": {"initial": {"write": None, "digest": two}},
        "out": {"name": three},
        "undeclared": {"elsewhere": five},
        "commitment": other,
        "premises": [{"was": one, "now": "short"}],
        "text": "Z" * 64,
    }
    record = Record(1, "r", 0, 0.0, None, None, "applied", body, GENESIS)
    assert digests_of(record) == {one, two, three, five}
