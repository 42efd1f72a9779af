"""The pages in docs, run as they stand; and whatever prose names is there."""

from __future__ import annotations

import ast
import io
import re
import shlex
import subprocess
import sys
import tokenize
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from mtpo.proofs.replay.judge import judge
from mtpo_core.causes import alike
from mtpo_core.log import read_log
from mtpo_core.notices import parse_notices
from mtpo_core.toolcheck import check_tool
from mtpo_core.tools import WriteClass, write_tool

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
FOLDERS = ("spec", "proofs", "mtpo_core", "schedulers", "engine", "tests", "docs")


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


# -- what is named -------------------------------------------------------------------------------------------------

PATH = re.compile(rf"(?<![\w./<-])(?:{'|'.join(FOLDERS)})/[\w./*-]*[\w*/]")
SOURCE = re.compile(r"`([\w/]+\.(?:py|md))`")
LINK = re.compile(r"\]\(([\w./]+)\)")
REFERENCE = re.compile(r":\w+:`~?(mtpo(?:_core)?\.[\w.]+)`")
YOURS = {"mylock.py"}
"""What a page has its reader write."""

FILES = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.*") if path.suffix in (".py", ".md")]
NAMES = [f"/{path.relative_to(ROOT).as_posix()}" for path in FILES]


def said(source: str) -> str:
    """The docstrings and comments of a source."""
    alone = [node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Expr)]
    strings = [node.value for node in alone if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return "\n".join((*strings, *(token.string for token in tokens if token.type == tokenize.COMMENT)))


def missing(text: str, folder: Path) -> list[str]:
    """What a text in a folder names and there is not: paths, links and modules. Of a source the end of its path will
    do."""
    gone = [path for path in PATH.findall(text) if not any(ROOT.glob(path))]
    gone += [end for end in SOURCE.findall(text) if end not in YOURS and not any(n.endswith(f"/{end}") for n in NAMES)]
    gone += [link for link in LINK.findall(text) if not (folder / link).exists()]
    gone += [name for name in REFERENCE.findall(text) if not defined(name)]
    return list(dict.fromkeys(gone))


def defined(name: str) -> bool:
    """Whether there is such a module, or one that speaks of the rest of the name."""
    path = ROOT / name.removeprefix("mtpo.").replace(".", "/")
    if path.is_dir() or path.with_suffix(".py").is_file():
        return True
    owner, _, last = name.rpartition(".")
    path = ROOT / owner.removeprefix("mtpo.").replace(".", "/")
    sources = [path.with_suffix(".py"), path / "__init__.py", path.parent.with_suffix(".py")]
    return any(re.search(rf"\b{last}\b", file.read_text(encoding="utf-8")) for file in sources if file.is_file())


def test_files_and_modules_that_prose_names_are_there():
    found = {}
    for path in (ROOT / "README.md", *FILES):
        text = path.read_text(encoding="utf-8")
        if missing(text, path.parent) and (gone := missing(said(text) if path.suffix == ".py" else text, path.parent)):
            found[path] = gone
    assert found == {}


def test_what_prose_names_and_is_not_there_is_found():
    text = "As `proofs/README.md` and (tests/proofs/test_no*.py) say, `no/such.py`, [here](no.md), :mod:`mtpo.no.no`; "
    text += ":func:`~mtpo.proofs.ledger.no_such`."
    gone = [
        "proofs/README.md",
        "tests/proofs/test_no*.py",
        "no/such.py",
        "no.md",
        "mtpo.no.no",
        "mtpo.proofs.ledger.no_such",
    ]
    assert missing(text, DOCS) == gone
    there = "As `proofs/ledger.json` and (tests/proofs/test_*.py) say, `exploration/explore.py`, [here](records.md)."
    assert missing(f"{there} :mod:`mtpo.proofs.exploration.explore`, `spec/`, ``schedulers/step``.", DOCS) == []
