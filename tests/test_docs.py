"""The pages in docs, run as they stand."""

from __future__ import annotations

import io
import re
import shlex
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from mtpo.proofs.replay.judge import judge
from mtpo_core.causes import alike
from mtpo_core.log import read_log
from mtpo_core.notices import parse_notices
from mtpo_core.toolcheck import check_tool
from mtpo_core.tools import WriteClass, write_tool

DOCS = Path(__file__).parents[1] / "docs"


def blocks(page: str, kind: str = "python") -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


def test_embedding(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, printed = "\n".join(blocks("embedding.md")), io.StringIO()
    with redirect_stdout(printed):
        exec(compile(code, "embedding.md", "exec"), page := {})
    checked, read, kind, notice, _, outcome, *rest = printed.getvalue().splitlines()
    assert (checked, read, kind, outcome) == ("[]", "open", "bounced", "complete")
    assert "T1" in notice
    words, cancelled, _, own_outcome, told, advice = rest
    assert (words, own_outcome) == ("2", "complete")
    (data,) = parse_notices(cancelled)
    assert data["changed"]["news.md"] == {"by": "press", "now": "Nothing.\n"}
    assert data["your_calls"] == {"1.1": {"tool": "append", "status": "cancelled"}}
    shown = [line.removeprefix("# ").strip() for line in code.splitlines() if line.startswith("# ")]
    assert told == "".join(shown[-3:-1]).removesuffix("(in one line)").strip()
    assert advice == shown[-1]

    def make(resource, args):
        resource.live |= {args["id"]: b"open", "index": (resource.read("index") or b"") + f"{args['id']}\n".encode()}
        return "done"

    tool = write_tool("open", "", [page["ID"]], WriteClass.RMW, page["opened"], make)
    assert check_tool(tool, lambda: page["Tickets"]({"T1": b"open", "index": b"T1\n"}), {"id": "T2"}) == []
    for log in ("tickets.log", "site.log"):
        assert judge(read_log(tmp_path / log)).exit_code == 0


def test_simulator(tmp_path):
    """The commands as they stand, in a shell, print what stands below them."""
    (session,) = blocks("simulator.md", "console")
    shell = f"mtpo() {{ {shlex.quote(sys.executable)} -c 'from mtpo_core.cli import main; main()' \"$@\"; }}"
    commands = re.findall(r"^\$ (cat .*?\nEND\n|[^\n]*\n)(.*?)(?=^\$ |\Z)", session, re.MULTILINE | re.DOTALL)
    assert [bool(shown) for _, shown in commands] == [False, True, True]
    for command, shown in commands:
        script = ["sh", "-c", f"{shell}\n{command}"]
        assert subprocess.run(script, cwd=tmp_path, stdout=subprocess.PIPE, text=True, check=True).stdout == shown


@pytest.fixture
def writer(tmp_path):
    (code,) = blocks("records.md")

    def write(*changes: tuple[str, str]) -> Path:
        changed = code
        for old, new in changes:
            assert old in changed
            changed = changed.replace(old, new)
        script, log = tmp_path / "writer.py", tmp_path / "foreign.log"
        script.write_text(changed)
        log.unlink(missing_ok=True)
        subprocess.run([sys.executable, "-I", str(script), str(log)], check=True)
        return log

    return write


def test_a_writer_in_fifty_lines(writer):
    found = judge(read_log(writer()))
    assert found.exit_code == 0, found.verdict


def test_a_foreign_writer_is_told_what_is_wrong_with_its_form_and_nothing_that_follows(writer):
    """One mistake, one line: not a cascade of rules that can't be asked any more, and no claim of tampering."""
    spaced = judge(read_log(writer((', separators=(",", ":")', ""))))
    [[first, *others]] = alike(spaced.problems)  # which `mtpo verify` tells in a line, with how many more
    assert "' null, \"body' at character 9, not 'null,\"body\":'" in first.what
    assert (first.property, len(others)) == ("log.body", 10)

    unnamed = judge(read_log(writer((', name="A"', ""))))
    assert [str(p) for p in unnamed.problems] == ["log.body: record 1 (launch): field 'name' is missing"]
    assert unnamed.exit_code == 1


def test_a_mistake_that_is_made_often_is_told_once_with_how_often(writer):
    launch = 'append("launch", 0, name="A", task="raise the version")'
    found = judge(read_log(writer((launch, "\n".join(f'append("launch", {rank}, name="A")' for rank in range(3))))))
    said = [str(p) for p in found.problems]
    assert said == ["log.body: record 1 (launch): field 'task' is missing (so have 2 more launch records)"]
    assert {row.verdict for row in found.certificate.properties if row.id.startswith("run.")} == {"incomplete"}
