"""Damaged logs: every verb that opens one says what is damaged in one line, with exit code 1, and never fails on it."""

from __future__ import annotations

import random
import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from mtpo_core.log import LogDamage, LogError, LoggedRun, read_log
from mtpo_core.logfile import sha
from mtpo_core.loglines import export_jsonl, import_jsonl

Mtpo = Callable[..., Any]


def edited(logs: Path, folder: Path, *statements: str) -> Path:
    copy = folder / "copy.mtpo"
    shutil.copy(logs / "run.mtpo", copy)
    db = sqlite3.connect(copy)
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.close()
    return copy


def loose(name: str, columns: str) -> tuple[str, ...]:
    """The same table without its constraints, as a careless copy has it."""
    made = f'CREATE TABLE "{name}" ({columns})'
    return f'ALTER TABLE "{name}" RENAME TO old', made, f'INSERT INTO "{name}" SELECT * FROM old'


RECORDS, VALUES, META = (
    loose("records", "seq, record, digest"),
    loose("values", "digest, state, value"),
    loose("meta", "key, value"),
)


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        ((*RECORDS, "UPDATE records SET record = NULL WHERE seq = 4"), "record 4: "),
        ((*RECORDS, "UPDATE records SET digest = NULL WHERE seq = 4"), "record 4: "),
        ((*RECORDS, "UPDATE records SET record = 7 WHERE seq = 4"), "record 4: "),
        (("UPDATE records SET record = '{\"v\":' WHERE seq = 4",), "record 4: "),
        (("UPDATE records SET record = CAST(x'7bff7d' AS TEXT) WHERE seq = 4",), "record 4: "),
        (("UPDATE records SET record = CAST(record AS BLOB) WHERE seq = 4",), "record 4: "),
        (('UPDATE records SET record = replace(record, \'"t":\', \'"t":1e308,"t":\') WHERE seq = 4',), "record 4: "),
        ((f"UPDATE records SET record = '{'[' * 900}{']' * 900}' WHERE seq = 4",), "record 4: "),
        ((*VALUES, "UPDATE \"values\" SET state = 'lost'"), "state is 'lost'"),
        ((*VALUES, 'UPDATE "values" SET value = NULL'), "its value is NULL"),
        ((*VALUES, 'UPDATE "values" SET digest = NULL'), "its digest is NULL"),
        ((*VALUES, "UPDATE \"values\" SET digest = CAST(x'ff' AS TEXT)"), "no SHA-256"),
        (("UPDATE \"values\" SET state = 'redacted'",), "a value is stored with it"),
    ],
)
def test_what_is_damaged_is_named_and_the_rest_is_shown(
    logs: Path, tmp_path: Path, mtpo: Mtpo, statements: tuple[str, ...], said: str
) -> None:
    copy = edited(logs, tmp_path, *statements)
    found = mtpo("verify", copy)
    assert found.code == 1 and said in found.out and found.err == ""
    for arguments in (("log", copy), ("log", copy, "--json"), ("view", copy, "-o", tmp_path / "page.html")):
        found = mtpo(*arguments)
        assert found.code == 1 and found.out, arguments
        (line,) = found.err.splitlines()
        assert line.startswith(f"mtpo: {copy}: ") and "damaged" in line and said in line


NAME = """replace(record, '"name":"A"', '"name":"Z"')"""


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        (
            (f"UPDATE records SET record = {NAME}",),
            "record 1: damaged: {text} (and 1 more: record 2); {do}",
        ),
        (("UPDATE records SET digest = 'x' WHERE seq > 3",), "record 4: damaged: {digest} (and 21 more: "),
        (("DELETE FROM records WHERE seq IN (4, 5)",), "record 6: damaged: records 4 to 5 missing before it; {do}"),
        (("UPDATE \"values\" SET value = x'00' WHERE value = CAST('x0\n' AS BLOB)",), "it was altered; record "),
    ],
)
def test_what_was_altered_is_named_and_all_that_is_there_is_shown(
    logs: Path, tmp_path: Path, mtpo: Mtpo, statements: tuple[str, ...], said: str
) -> None:
    copy = edited(logs, tmp_path, *statements)
    assert mtpo("verify", copy).code == 1
    said = said.format(
        text="its text was altered: the digest stored with it is the one that record 2 has in prev",
        digest="the digest stored with it was altered: its text has the one that record 5 has in prev",
        do="`mtpo verify` judges it",
    )
    count = len(read_log(copy).rows)
    for arguments in (("log", copy), ("view", copy, "-o", tmp_path / "page.html"), ("explain", "1.0", "--log", copy)):
        found = mtpo(*arguments)
        assert (found.code, found.err.count("\n")) == (1, 1), arguments
        assert found.err.startswith(f"mtpo: {copy}: ") and said in found.err
        if arguments[0] == "log":
            assert len(found.out.splitlines()) == count


def test_a_log_that_is_whole_is_shown_without_a_word(logs: Path, tmp_path: Path, mtpo: Mtpo) -> None:
    """One that is cut short, too: a run may be under way."""
    for statements in ((), ("DELETE FROM records WHERE seq > 20",)):
        copy = edited(logs, tmp_path, *statements)
        for arguments in (("log", copy), ("view", copy, "-o", tmp_path / "page.html")):
            found = mtpo(*arguments)
            assert (found.code, found.err) == (0, ""), arguments


def test_names_out_of_an_altered_log_are_said_to_be_so(logs: Path, tmp_path: Path, mtpo: Mtpo) -> None:
    certificate = tmp_path / "certificate.json"
    assert mtpo("verify", logs / "run.mtpo", "--save", certificate).code == 0
    copy = edited(logs, tmp_path, f"UPDATE records SET record = {NAME}")
    last = mtpo("verify", copy).out.splitlines()[-1]
    assert last.startswith(
        "notified-serializable in the order Z < B: no (log.chain: record 1, told above; and 1 more; "
    )
    assert last.endswith("; the names are as the altered log has them)")
    lines = [line.replace('"name":"A"', '"name":"Z"') for line in export_jsonl(read_log(logs / "run.mtpo"))]
    before = ""
    for number, line in enumerate(lines):
        if '"prev":' in line:  # the forger sees to the chain
            lines[number] = re.sub('"prev":"[0-9a-f]{64}"', f'"prev":"{before}"', line) if before else line
            before = sha(lines[number])
    import_jsonl(lines, tmp_path / "forged.mtpo")
    assert mtpo("verify", tmp_path / "forged.mtpo").code == 0, "by itself it is whole"
    last = mtpo("verify", tmp_path / "forged.mtpo", "--certificate", certificate).out.splitlines()[-1]
    assert "in the order Z < B: no, the log is not the one that was certified (log.head: " in last
    assert last.endswith("; the names are those of the log as it is now)")


@pytest.mark.parametrize(
    "statements",
    [
        ("DROP TABLE records",),
        ('DROP TABLE "values"',),
        ("DROP TABLE meta",),
        ("DELETE FROM meta WHERE key = 'salt'",),
        (*META, "UPDATE meta SET value = NULL WHERE key = 'run'"),
        (*RECORDS, "UPDATE records SET seq = 'four' WHERE seq = 4"),
        (*RECORDS, "UPDATE records SET seq = NULL WHERE seq = 4"),
        ("ALTER TABLE records RENAME COLUMN digest TO hash",),
    ],
)
def test_a_log_that_can_not_be_read_is_damaged_in_one_line(
    logs: Path, tmp_path: Path, mtpo: Mtpo, statements: tuple[str, ...]
) -> None:
    copy = edited(logs, tmp_path, *statements)
    with pytest.raises(LogDamage):
        read_log(copy)
    said_by_each(mtpo, tmp_path, copy, 1, "damaged")


def said_by_each(mtpo: Mtpo, folder: Path, path: Path, code: int, said: str) -> None:
    """Each verb ends with the code and one line that names the file."""
    page = folder / "page.html"
    for arguments in (("verify", path), ("coverage", path), ("log", path), ("view", path, "-o", page)):
        found = mtpo(*arguments)
        assert (found.code, found.out) == (code, ""), arguments
        assert found.err.startswith(f"mtpo: {path}: ") and said in found.err and found.err.count("\n") == 1


def test_a_cut_file_is_damaged(logs: Path, tmp_path: Path, mtpo: Mtpo) -> None:
    whole = (logs / "run.mtpo").read_bytes()
    for length in (100, 4096, len(whole) // 2, len(whole) - 1):
        copy = tmp_path / f"{length}.mtpo"
        copy.write_bytes(whole[:length])
        found = mtpo("verify", copy)
        assert found.code == 1 and (found.out + found.err).count("Traceback") == 0, length


def test_what_is_no_log_is_a_usage_error(logs: Path, tmp_path: Path, mtpo: Mtpo) -> None:
    for name, content in (("empty", b""), ("text", b"no log\n" * 100), ("short", b"SQLite")):
        (tmp_path / name).write_bytes(content)
    sqlite3.connect(tmp_path / "other").execute("CREATE TABLE t (x)").connection.close()
    for name, said in (
        ("empty", "empty file"),
        ("text", "not a SQLite file"),
        ("short", "not a SQLite file"),
        ("other", "not a run log"),
        ("missing", "no such file"),
        (".", "a folder"),
    ):
        said_by_each(mtpo, tmp_path, tmp_path / name, 2, said)


def test_of_several_records_that_can_not_be_read_one_is_told_and_the_others_are_named(
    logs: Path, tmp_path: Path, mtpo: Mtpo
) -> None:
    copy = edited(logs, tmp_path, *RECORDS, "UPDATE records SET record = NULL WHERE seq IN (4, 9)")
    for arguments in (("log", copy), ("view", copy, "-o", tmp_path / "page.html")):
        found = mtpo(*arguments)
        assert (found.code, found.err) == (
            1,
            f"mtpo: {copy}: record 4: damaged: its text is NULL, not text (and 3 more: record 9, record 5, record 10); "
            "`mtpo verify` judges it\n",
        )


def swapped(text: str) -> str:
    """Records 4 and 5 have changed places."""
    lines = text.splitlines()
    return "\n".join([*lines[:5], lines[6], lines[5], *lines[7:]])


def valued(field: str) -> Callable[[str], str]:
    """A value with that field is added."""
    return lambda text: f'{text}{{"digest":"{"0" * 64}",{field}}}\n'


def headed(field: str, given: str) -> Callable[[str], str]:
    """That field of the header is another text."""
    return lambda text: re.sub(f'"{field}":"[^"]*"', lambda _: f'"{field}":"{given}"', text, count=1)


@pytest.mark.parametrize(
    ("spoil", "code", "said"),
    [
        (lambda text: text[:3000], 1, "damaged: line "),
        (lambda text: text.replace('"kind":"read"', '"kind":7'), 1, "field 'kind' has the wrong type (int)"),
        (lambda text: text + text.splitlines()[1], 1, "record 0 is there twice"),
        (swapped, 1, "damaged: line 7: record 4 comes after record 5: records go by their numbers"),
        (lambda text: text + '{"digest":"0","text":""}', 1, "'0' is no digest"),
        (lambda text: text.encode() + b'{"\xff', 1, "damaged: not UTF-8 (byte 0xff)"),
        (lambda text: text.split("\n", 1)[1], 2, "neither a run log nor one as lines of JSON: line 1: "),
        (valued('"text":null'), 1, "a value has one of text, base64 (both texts), absent (true) and redacted (true)"),
        (valued('"absent":1'), 1, "a value has one of text, base64 (both texts), absent (true) and redacted (true)"),
        (valued('"base64":"a"'), 1, "not base64: "),
        (lambda text: text + text.splitlines()[0], 1, "another header; a log has one, on its first line"),
        (headed("run", "\\ud800"), 2, "line 1: the run is no text: "),
        (headed("salt", "a b"), 2, "line 1: the salt is not in hexadecimal: "),
        (lambda text: text.replace('"v":1,', '"v":true,', 1), 2, "line 1: not a header of format mtpo-run-log"),
        (lambda text: "{}", 2, "neither a run log nor one as lines of JSON: line 1: "),
        (lambda text: "{", 2, "neither a run log nor one as lines of JSON: line 1: not JSON ("),
    ],
)
def test_damaged_lines_end_each_verb_with_one_line(
    logs: Path, tmp_path: Path, mtpo: Mtpo, spoil: Callable[[str], str | bytes], code: int, said: str
) -> None:
    spoilt = spoil(mtpo("log", logs / "run.mtpo", "--json").out)
    path = tmp_path / "run.jsonl"
    path.write_bytes(spoilt if isinstance(spoilt, bytes) else spoilt.encode())
    said_by_each(mtpo, tmp_path, path, code, said)


def test_blank_lines_at_the_end_are_no_damage(logs: Path, tmp_path: Path, mtpo: Mtpo) -> None:
    path = tmp_path / "run.jsonl"
    text = mtpo("log", logs / "run.mtpo", "--json").out
    path.write_text(f"{text}\n  \n")
    assert mtpo("log", path, "--json").out == text and mtpo("verify", path).code == 0


def same(one: LoggedRun, other: LoggedRun) -> bool:
    return attrs.evolve(one, path="") == attrs.evolve(other, path="")


def test_a_side_file_that_is_not_its_own(logs: Path, tmp_path: Path, mtpo: Mtpo) -> None:
    """A -wal of nothing, or of another database: an error or no matter, never another log."""
    run = read_log(logs / "run.mtpo")
    other = sqlite3.connect(tmp_path / "other")
    other.execute("PRAGMA journal_mode = WAL")
    other.execute("CREATE TABLE records (x)")
    foreign = (tmp_path / "other-wal").read_bytes()
    other.close()
    for content in (b"", b"nothing" * 1000, foreign):
        copy = tmp_path / "copy.mtpo"
        shutil.copy(logs / "run.mtpo", copy)
        copy.with_name("copy.mtpo-wal").write_bytes(content)
        found = mtpo("verify", copy)
        assert found.code in (0, 1) and "Traceback" not in found.err
        assert found.code == 1 or same(read_log(copy), run)


def test_a_flipped_byte_is_found_or_does_no_harm(logs: Path, tmp_path: Path, mtpo: Mtpo) -> None:
    whole, chance = (logs / "run.mtpo").read_bytes(), random.Random(20)
    run, certificate = read_log(logs / "run.mtpo"), tmp_path / "certificate.json"
    assert mtpo("verify", logs / "run.mtpo", "--save", certificate).code == 0
    used = [place for place, byte in enumerate(whole) if byte]
    codes = dict.fromkeys(range(4), 0)
    for turn in range(200):
        place = chance.choice(used) if turn % 4 else chance.randrange(len(whole))
        copy = tmp_path / "copy.mtpo"
        copy.write_bytes(whole[:place] + bytes([whole[place] ^ chance.randrange(1, 256)]) + whole[place + 1 :])
        try:
            harmless = same(read_log(copy), run)  # then the same verdict follows, which is a function of what was read
        except LogError:
            harmless = False
        if turn % 20 == 0 or not harmless:
            found = mtpo("verify", copy, "--certificate", certificate)
            codes[found.code] += 1
            assert (found.code == 0) == harmless and found.err.count("\n") <= 1, place
        if turn % 20 == 0:
            for arguments in (("log", copy, "--json"), ("log", copy), ("view", copy, "-o", tmp_path / "page.html")):
                assert mtpo(*arguments).code in (0, 1, 2), place
        for side in ("-wal", "-shm", "-journal"):
            copy.with_name(copy.name + side).unlink(missing_ok=True)
    assert codes[1] > 60 and codes[2] <= 3


def test_read_log_refuses_with_its_own_error(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="no such file"):
        read_log(tmp_path / "none\0")
