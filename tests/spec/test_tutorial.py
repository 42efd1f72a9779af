"""The tutorial is run as it stands: its code, its commands, and what they print."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mtpo.proofs.induction.inductive import prove
from mtpo.spec.language import Bool, Sort, Spec, forall, implies, require

TEXT = (Path(__file__).parents[2] / "spec" / "README.md").read_text(encoding="utf-8")
MTPO = Path(sys.executable).parent / "mtpo"


class Point(Sort):
    "where a value lies"


def test_the_tutorial_prints_what_it_says(tmp_path: Path) -> None:
    """Code is added to the file as a reader would; each command is run, its lines are all found in what it prints; a
    session prints what it says."""
    file = tmp_path / "mylock.py"
    file.write_text("")
    ran = []
    for said, language, text in re.findall(r"(.*?)```(python|console|pycon)\n(.*?)```", TEXT, re.DOTALL):
        if language == "pycon":
            session = tmp_path / "session.txt"
            session.write_text(text)
            command = [sys.executable, "-m", "doctest", "-o", "ELLIPSIS", "session.txt"]
            done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
            assert (done.returncode, done.stderr) == (0, ""), done.stdout
            ran.append("doctest")
            continue
        if language == "python":
            file.write_text(file.read_text() + "\n\n" + text)
            continue
        if "Delete the line" in said:
            whole = file.read_text()
            file.write_text(re.sub(r'    require\("free".*\n', "", whole))
            assert file.read_text() != whole
        for command, lines in re.findall(r"^\$ (.*)\n((?:[^$].*\n|\n)*)", text, re.MULTILINE):
            words = command.split()
            assert words[0] == "mtpo"
            done = subprocess.run([MTPO, *words[1:]], cwd=tmp_path, capture_output=True, text=True, check=False)
            how_far = r"(\w.* \(\d+ s\)\n)*"  # said now and then where a machine is slow
            assert re.fullmatch(how_far, done.stderr), command
            for line in filter(None, lines.splitlines()):
                assert line in done.stdout, f"{command}: {line}\n{done.stdout}"
            expected = 1 if re.search("^(SURVIVED|FAILED)", lines, re.MULTILINE) else 0
            assert done.returncode == expected, command
            ran.append(words[1])
    proofs, tries = ["prove", "explore", "prove"], ["prove", "explore", "explore", "mutate"]
    looked = ["ablate", "explore", "explore", "explore"]
    assert ran == [*tries, *proofs, "prove", "mutate", *looked, "doctest", "doctest", "prove", "explore"]


def test_the_files_that_it_names_exist() -> None:
    folder = Path(__file__).parents[2] / "spec"
    for name in re.findall(r"\]\((\w+\.py)\)", TEXT):
        assert (folder / name).is_file()


LANGUAGE = TEXT[TEXT.index("## The rest of the language") :]


def _fates(spec: Spec) -> dict[str, str]:
    return {v.property: v.status for v in prove(spec, jobs=0)}


@pytest.mark.parametrize("order", [1, -1])
def test_where_two_updates_meet_the_last_counts_as_it_says(order: int) -> None:
    updates = re.findall(r"`v\[([pq])\] = (True|False)`", LANGUAGE)
    assert updates == [("p", "True"), ("q", "False")] and "the last counts" in LANGUAGE
    spec = Spec("meet", "")
    v = spec.var("v", Point, init=lambda p: False)

    @spec.action
    def write(p: Point, q: Point) -> None:
        for place, value in updates[::order]:
            v[{"p": p, "q": q}[place]] = value == "True"

    def where_alone(now: Callable[[Any], Bool]) -> Bool:
        return forall(Point, lambda q: implies(forall(Point, lambda p: p == q), now(q)))

    spec.step_property("meet.first")(lambda: where_alone(lambda q: v.next(q)))
    spec.step_property("meet.last")(lambda: where_alone(lambda q: ~v.next(q)))
    last, other = ("meet.last", "meet.first")[::order]
    assert _fates(spec) == {last: "PROVED", other: "FAILED"}


@pytest.mark.parametrize("over", [Bool, Point])
@pytest.mark.parametrize("guarded", [True, False])
def test_a_measure_of_scalars_ignores_its_element_as_it_says(over: type[Sort], guarded: bool) -> None:
    assert "a measure of scalars alone may take any sort, or `Bool`, and ignore the element" in LANGUAGE
    spec = Spec("flag", "")
    busy = spec.var("busy", init=lambda: True)

    @spec.action
    def rest() -> None:
        if guarded:
            require("busy", busy())
        busy[()] = False

    spec.variant("flag.rests", over, decreases=("rest",))(lambda _: (busy(),))
    assert _fates(spec) == {"flag.rests": "PROVED" if guarded else "FAILED"}


COUNTER = """from mtpo.spec.language import Bool, Int, Spec, require

spec = Spec("tickets", "Tickets by number.")
{declared}


@spec.action
def draw() -> None:
    "Somebody draws a ticket."
    {guard}
    {written}


@spec.invariant("tickets.counted")
def counted() -> Bool:
    "Tickets are counted up."
    return {read} >= 0
"""


def test_a_counter_is_proven_or_bounded_as_it_says(tmp_path: Path) -> None:
    """The pieces of code as they stand there."""
    counted = TEXT[TEXT.index("A variable without\narguments is a scalar") :]
    declared, read, written, *_ = codes = re.findall("`([^`]+)`", counted)
    guard = next(code for code in codes if code.startswith("require"))

    def said(guard: str, *words: str) -> tuple[int, str]:
        text = COUNTER.format(declared=declared, guard=guard, written=written, read=read)
        (tmp_path / "tickets.py").write_text(text)
        command = [MTPO, words[0], "tickets.py", *words[1:]]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    code, text = said("", "explore", "--limit", "50")
    assert code == 3 and "UNKNOWN  tickets.counted" in text
    code, text = said("", "prove")
    assert code == 0 and "PROVED   tickets.counted" in text
    code, text = said(guard, "explore")
    assert code == 0 and "CHECKED  tickets.counted" in text and "5 states" in text
    only = ("--only", "draw.bound")
    code, text = said(guard, "mutate", *only)
    assert code == 1 and "SURVIVED   tickets.draw.bound" in text
    code, text = said(guard, "ablate", *only, "--limit", "50")
    assert code == 3 and "UNKNOWN: nothing breaks" in text
    declared += "\n" + next(code for code in codes if code.startswith("EQUIVALENT"))
    for verb in (("mutate",), ("ablate", "--limit", "50")):
        code, text = said(guard, verb[0], *only, *verb[1:])
        assert code == 0 and "bounds what is explored, no property needs it" in text
