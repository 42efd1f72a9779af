"""A log that is written by nobody here: from ``docs/records.md`` alone, with sqlite3, json and hashlib."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mtpo.proofs.runs.runform import FORMS
from mtpo.spec.records import KINDS

Mtpo = Callable[..., Any]
DOC = Path(__file__).parents[3] / "docs" / "records.md"
SALT = b"\x00a salt\xff"


class Writer:
    """The whole of a writer, as the page has it."""

    def __init__(self, path: Path, run: str) -> None:
        (schema,) = re.findall(r"```sql\n(.*?)```", DOC.read_text(encoding="utf-8"), re.DOTALL)
        self.run, self.seq, self.prev, self.db = run, 0, "0" * 64, sqlite3.connect(path)
        self.db.execute("PRAGMA application_id = 1297371215")
        self.db.executescript(schema)
        meta = {"format": b"mtpo-run-log", "version": b"1", "run": run.encode(), "salt": SALT}
        self.db.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())

    def value(self, text: str | None) -> str:
        tag = b"\x00" if text is None else b"\x01" + text.encode()
        digest = hashlib.sha256(SALT + tag).hexdigest()
        row = (digest, "absent", None) if text is None else (digest, "kept", text.encode())
        self.db.execute('INSERT OR IGNORE INTO "values" VALUES (?, ?, ?)', row)
        return digest

    def saw(self, **seen: tuple[str | None, str | None]) -> dict[str, Any]:
        return {o: {"write": write, "digest": self.value(text)} for o, (write, text) in seen.items()}

    def put(self, kind: str, agent: int | None = None, call: str | None = None, /, **body: Any) -> None:
        body = {name.rstrip("_"): value for name, value in body.items()}
        record = {"v": 1, "run": self.run, "seq": self.seq, "t": self.seq / 4, "agent": agent, "call": call}
        record |= {"kind": kind, "body": body, "prev": self.prev}
        text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        digest = hashlib.sha256(text.encode()).hexdigest()
        self.db.execute("INSERT INTO records VALUES (?, ?, ?)", (self.seq, text, digest))
        self.seq, self.prev = self.seq + 1, digest

    def accept(self, call: str, reads: list[str], writes: list[str], members: list[str], inverse: bool = True) -> None:
        body = {"tool": "edit", "args": self.value('{"to":"ü\\n"}'), "reads": reads, "writes": writes}
        body |= {"class_": "rmw" if reads else "blind", "invertible": inverse, "members": members}
        self.put("call", int(call[0]), call, **body)

    def read(self, call: str, saw: dict[str, Any], filtered: bool = False) -> None:
        body = {"tool": "look", "args": self.value("{}"), "saw": saw, "result": self.value("what it saw")}
        self.put("read", int(call[0]), call, **body, filtered=filtered)

    def act(self, call: str, saw: dict[str, Any], inverse: bool = True, /, **out: str | None) -> None:
        agent = int(call[0])
        if inverse:
            self.put("prepared", agent, call, undo=self.value(f"undo {call}"))
        self.put("exec", agent, call)
        left = {o: self.value(text) for o, text in out.items()}
        self.put("applied", agent, call, saw=saw, out=left, result=self.value("done"))

    def close(self) -> None:
        self.db.commit()
        self.db.close()


def opening(w: Writer, mode: str, names: str) -> None:
    initial = {"x": w.value("x0"), "y": w.value("y0")}
    w.put("run-open", mode=mode, policy="replay", scenario='a "case"', inference="none", initial=initial)
    for rank, name in enumerate(names):
        w.put("launch", rank, name=name, task="täsk\t\x01\x7f")


def coordinated(w: Writer) -> None:
    """B reads and writes x; A, of lower rank, writes x and makes z, late; C, at last, mails what can't be undone."""
    opening(w, "mtpo", "ABC")
    steps = {"began": 0.5, "prompt_tokens": 9, "new_tokens": 3, "steps": [0, 3]}
    w.put("infer", 1, **steps, text=w.value("read x, then write it"))
    w.put(
        "read", 1, "1.0", tool="r", args=w.value("{}"), saw=w.saw(x=(None, "x0")), filtered=False, result=w.value("x0")
    )
    w.accept("1.1", ["x"], ["x"], [])
    w.act("1.1", w.saw(x=(None, "x0")), x="x0b")
    w.put("settle", 1, "1.1", stale=[])
    w.put("gate", 2, "2.0", waits_for=[0, 1])
    w.put("finish", 1)
    w.accept("0.0", ["x"], ["x", "z"], ["1.1"])
    w.put("undo", 1, "1.1", by="0.0")
    w.put("undone", 1, "1.1", by="0.0", restored={"x": w.value("x0")})
    w.act("0.0", w.saw(x=(None, "x0")), x="x0a", z="z0")
    w.put("prepared", 1, "1.1", undo=w.value("undo 1.1 again"))
    w.put("redo", 1, "1.1", by="0.0")
    body = {"saw": w.saw(x=("0.0", "x0a")), "out": {"x": w.value("x0ab")}, "result": w.value("done"), "changed": True}
    w.put("redone", 1, "1.1", by="0.0", **body)
    w.put("settle", 0, "0.0", stale=["1.0", "1.1"])
    premise = {"call": "1.0", "object": "x", "was": w.value("x0"), "now": w.value("x0a"), "write": "0.0"}
    w.put("notify", 1, id=7, by="0.0", premises=[premise], results=[{"call": "1.1", "status": "changed"}])
    w.put(
        "read", 0, "0.1", tool="r", args=w.value("{}"), saw=w.saw(x=("0.0", "x0a")), filtered=True, result=w.value("?")
    )
    w.put("reopen", 1)
    w.put("deliver", 1, ids=[7])
    w.put("judge", 1, ids=[7], verdict="ignore", waiver="trusted")
    w.accept("0.2", ["y"], ["y"], [])
    w.put("prepared", 0, "0.2", undo=w.value("nothing"))
    w.put("exec", 0, "0.2")
    w.put("failed", 0, "0.2", error="edit: wrote too much", undeclared={"w": w.value("w1")})
    w.put("settle", 0, "0.2", stale=[])
    for rank in (0, 1):
        w.put("finish", rank)
        w.put("commit", rank)
    w.accept("2.0", ["x"], ["sent"], [], False)
    w.act("2.0", w.saw(x=("1.1", "x0ab")), False, sent="x0ab")
    w.put("settle", 2, "2.0", stale=[])
    w.put("finish", 2)
    w.put("commit", 2)
    final = {"x": w.value("x0ab"), "y": w.value("y0"), "z": w.value("z0"), "sent": w.value("x0ab"), "w": w.value(None)}
    w.put("close", final=final, outcome="complete", error=None)


def uncoordinated(w: Writer) -> None:
    """A and B each read x, then write it: an update is lost."""
    opening(w, "naive", "AB")
    for rank in (0, 1):
        w.read(f"{rank}.0", w.saw(x=(None, "x0")))
    for rank in (0, 1):
        w.accept(f"{rank}.1", [], ["x"], [])
        w.act(f"{rank}.1", {}, x=f"x{rank}")
        w.put("finish", rank)
    w.put("close", final={"x": w.value("x1"), "y": w.value("y0")}, outcome="complete", error=None)


@pytest.mark.parametrize(
    ("story", "code", "verdict"),
    [
        (coordinated, 0, "notified-serializable in the order A < B < C: yes ("),
        (uncoordinated, 1, "serializable in some order (none is claimed): no (run.serializable: "),
    ],
)
def test_a_log_made_from_the_page_alone_is_judged(
    tmp_path: Path, mtpo: Mtpo, story: Callable[[Writer], None], code: int, verdict: str
) -> None:
    path = tmp_path / "foreign.mtpo"
    w = Writer(path, "fremd-ü")
    story(w)
    w.close()
    found = mtpo("verify", path)
    assert found.code == code and found.err == "", found.out
    assert found.out.splitlines()[-1].startswith(verdict)
    if code == 0:
        assert "holds       spec.replay" in found.out and "incomplete" not in found.out
    else:
        assert "violated    run.serializable: A -> B -> A: no serial order has this outcome (lost update)" in found.out
    assert mtpo("log", path).out.count("\n") == w.seq
    assert mtpo("view", path, "-o", tmp_path / "page.html").code == 0


def test_the_page_has_every_kind_and_every_field() -> None:
    rows = dict(re.findall(r"^\| ([a-z-]+) (\|.*)\|$", DOC.read_text(encoding="utf-8"), re.MULTILINE))
    assert set(KINDS) <= set(rows)
    for kind, form in FORMS.items():
        agent, call, body = rows[kind].strip("| ").split(" | ", 2)
        assert (agent.startswith("rank"), call == "id") == (form.agent, form.call), kind
        for field in (*form.fields, *form.optional):
            assert f"`{field}`" in body, (kind, field)
    for kind in KINDS.keys() - FORMS.keys():
        assert "reserved" in rows[kind]
