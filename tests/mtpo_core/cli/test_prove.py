"""The verb ``prove``, and what the verbs that take a spec have in common: exit codes, one-line errors."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mtpo.spec.mtpo import mtpo as mtpo_spec
from mtpo_core.cli.specs import BUILT_IN

Mtpo = Callable[..., Any]
SET_ONCE = (Path(__file__).parents[2] / "spec" / "set_once.py").read_text()

# -- exit codes ----------------------------------------------------------------------------------------------------


def test_what_holds_is_proved_and_the_code_is_0(mtpo: Mtpo, lock_path: Path) -> None:
    said = mtpo("prove", lock_path, "--json")
    assert (said.code, said.err) == (0, "")
    assert said.json["specs"] == ["lock"]
    found = {v["property"]: v for v in said.json["verdicts"]}
    assert {id: v["status"] for id, v in found.items()} == {
        "lock.exclusion": "PROVED",
        "lock.no-barging": "PROVED",
        "lock.emptied": "PROVED",
    }
    assert found["lock.exclusion"]["obligations"] == 3
    assert found["lock.exclusion"]["assumptions"] == []


def test_what_is_violated_is_shown_and_the_code_is_1(mtpo: Mtpo, broken: Path) -> None:
    said = mtpo("prove", broken, "--json")
    assert (said.code, said.err) == (1, "")
    found = {v["property"]: v for v in said.json["verdicts"]}
    assert found["lock.exclusion"]["status"] == "FAILED"
    assert found["lock.exclusion"]["clause"].endswith(", at acquire")
    assert found["lock.exclusion"]["trace"][0] == "state that every property allows"
    assert (found["lock.emptied"]["status"], found["lock.emptied"]["without"]) == ("PROVED", ["lock.exclusion"])


def test_what_is_open_is_unknown_and_the_code_is_3(mtpo: Mtpo, tall: Path) -> None:
    said = mtpo("prove", tall, "--timeout", "0.2")
    assert (said.code, said.err) == (3, "")
    assert said.out.splitlines()[0].startswith("UNKNOWN  tall.greatest")
    assert "0 of 1 proved" in said.out


def test_text_for_people(mtpo: Mtpo, lock_path: Path, broken: Path) -> None:
    lines = mtpo("prove", lock_path).out.splitlines()
    assert lines[0].split() == [
        "PROVED",
        "lock.exclusion",
        "3",
        "obligations",
        *["At", "most", "one", "process", "is", "inside."],
    ]
    assert "3 of 3 proved for any number of elements" in lines
    assert lines[-1].endswith("; assumptions: none")
    said = mtpo("prove", broken)
    assert said.code == 1
    assert "         false: forall p: Process, q: Process. (holds(p) & holds(q)) -> (p = q), at acquire" in said.out
    assert "         step 1: acquire(p=process" in said.out
    assert said.out.count("false: forall p: Process, q: Process. (holds(p) & holds(q)) -> (p = q)") == 1
    assert "PROVED   lock.emptied                            1 obligation  " in said.out
    assert "\n         proven without lock.exclusion, which is not shown\n" in said.out
    assert "1 of 3 proved for any number of elements\n" in said.out


def test_a_few_properties_only(mtpo: Mtpo, lock_path: Path) -> None:
    said = mtpo("prove", lock_path, "-p", "lock.no-barging", "-p", "lock.emptied")
    assert said.code == 0
    assert "lock.exclusion" not in said.out
    assert "2 of 2 proved for any number of elements" in said.out
    said = mtpo("prove", "mtpo", "-p", "mtpo.one-way", "--json")
    assert said.code == 0
    assert [v["property"] for v in said.json["verdicts"]] == ["mtpo.one-way"]
    assert set(said.json["verdicts"][0]["assumptions"]) == {"mtpo.pre-order", "mtpo.origin-first"}


def test_what_the_induction_rests_on_is_counted(mtpo: Mtpo, broken: Path, lock_path: Path) -> None:
    said = mtpo("prove", lock_path, "-p", "lock.emptied").out
    assert (
        "1 of 1 proved for any number of elements\nthe induction rests on 1 further invariant (3 obligations)" in said
    )
    said = mtpo("prove", broken, "-p", "lock.emptied")
    assert said.code == 0 and "rests on 1 further invariant (3 obligations): 0 proved" in said.out
    assert "the induction rests on 6 further invariants" in mtpo("prove", "kv", "-p", "kv.conservation").out
    assert (
        " proved for any number of elements (1 lemma among them, which the induction needs)"
        in mtpo("prove", "names").out
    )


def test_obligations_are_kept(mtpo: Mtpo, lock_path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "smt2"
    assert mtpo("prove", lock_path, "--smt2", folder).code == 0
    files = sorted(folder.iterdir())
    assert len(files) == 6
    assert {f.suffix for f in files} == {".smt2"}
    assert all(f.read_text().startswith("(set-info :status unsat)\n") for f in files)


def test_an_end_of_which_nothing_is_shown_is_open_and_says_of_which_actions(
    mtpo: Mtpo, lock_path: Path, tmp_path: Path
) -> None:
    path = tmp_path / "restless.py"
    path.write_text(
        lock_path.read_text().split("@lock.invariant", maxsplit=1)[0]
        + '@lock.ends("lock.rest")\ndef rest() -> None:\n    "Nobody enters for ever."\n'
    )
    said = mtpo("prove", path)
    assert said.code == 3
    row, why, *_ = said.out.splitlines()
    assert row.startswith("UNKNOWN  lock.rest ") and row.endswith(" nothing shown     Nobody enters for ever.")
    assert "are taken: acquire (no variant" in why and "; release (no variant" in why


def test_what_holds_is_recorded(mtpo: Mtpo, tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    assert mtpo("prove", "kv", "-p", "kv.conservation", "--record", path).code == 0
    (entry,) = json.loads(path.read_text())["entries"]
    assert (entry["property"], entry["method"], entry["status"]) == ("kv.conservation", "inductive", "PROVED")


# -- a user's mistakes: one line, code 2, whatever the verb --------------------------------------------------------

FILES = {
    "no Spec": ("x = 1\n", "mine.py: declares no Spec"),
    "empty": ("", "mine.py: declares no Spec"),
    "no Python": ("x = 1\ndef f(:\n", "mine.py:2: invalid syntax"),
    "no text": (b"\xff\xfe\x00", "mine.py"),
    "an unknown name": ("import mtpo\n\nboom\n", "mine.py:3: NameError: name 'boom' is not defined"),
    "an unknown module": (
        "import nowhere_at_all\n",
        "mine.py:1: ModuleNotFoundError: No module named 'nowhere_at_all'",
    ),
    "an error of its own": ("def f():\n    return 1 / 0\nf()\n", "mine.py:2: ZeroDivisionError: division by zero"),
    "a mistake in the spec": (
        "from mtpo.spec.language import Spec, Int\n"
        "s = Spec('s')\n"
        "n = s.var('n', to=Int, init=lambda: 0)\n"
        "s.invariant('s.p')(lambda: n() == True)\n",
        "mine.py:4: sort mismatch: `n` is Int but `true` is Bool in ==",
    ),
}


@pytest.mark.parametrize("verb", ["prove", "explore", "mutate"])
@pytest.mark.parametrize("case", FILES)
def test_a_file_that_is_no_spec(mtpo: Mtpo, tmp_path: Path, verb: str, case: str) -> None:
    text, message = FILES[case]
    path = tmp_path / "mine.py"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    said = mtpo(verb, path)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("mtpo: ")
    assert message in said.err
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("verb", ["prove", "explore", "mutate"])
@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["missing.py"], "mtpo: missing.py: no such file\n"),
        (["raft"], f"mtpo: unknown spec 'raft'; known: {', '.join(BUILT_IN)}; or give a .py file\n"),
        (
            ["LOCK", "--record", "ledger.json"],
            f"mtpo: --record is for the built-in specs ({', '.join(BUILT_IN)}); LOCK is a file\n",
        ),
        (["kv", "--record", "no/where.json"], "mtpo: --record no/where.json: no such folder\n"),
        (["kv", "--record", "bad.json"], "mtpo: bad.json: not a ledger (JSONDecodeError: "),
    ],
)
def test_arguments_that_name_nothing(
    mtpo: Mtpo,
    tmp_path: Path,
    lock_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
    args: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.json").write_text("{")
    said = mtpo(verb, *(str(lock_path) if arg == "LOCK" else arg for arg in args))
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(message.replace("LOCK", str(lock_path)))
    assert said.err.count("\n") == 1
    assert Path("bad.json").read_text() == "{"
    assert not Path("ledger.json").exists()


def test_an_unknown_property(mtpo: Mtpo, lock_path: Path) -> None:
    said = mtpo("prove", lock_path, "-p", "lock.fair")
    assert (said.code, said.out) == (2, "")
    known = "lock.emptied, lock.exclusion, lock.no-barging"
    assert said.err == f"mtpo: unknown property 'lock.fair'; known: {known}\n"
    every = mtpo("prove", "mtpo", "-p", "mtpo.fair").err.rstrip("\n").partition("known: ")[2].split(", ")
    others = {p.id for p in mtpo_spec.role("assumption", "reachable")}
    assert others and {*every} == {*mtpo_spec.claims} - others


def test_what_is_not_for_proof_is_refused_by_what_it_is(mtpo: Mtpo, lock_path: Path) -> None:
    for spec, id, why in (
        ([lock_path], "lock.entered", f"it is of some run, and `mtpo explore {lock_path}` shows it"),
        ([], "mtpo.reach-read-by-undo", "it is of some run, and `mtpo explore mtpo` shows it"),
        (["mtpo"], "mtpo.pre-order", "it is an assumption, taken as given"),
    ):
        said = mtpo("prove", *spec, "-p", id)
        assert (said.code, said.out, said.err) == (2, "", f"mtpo: {id} is not for proof: {why}\n")


def test_where_nothing_can_be_proven_nothing_is_listed(mtpo: Mtpo, tmp_path: Path) -> None:
    path = tmp_path / "bare.py"
    path.write_text(SET_ONCE.split("@s.step")[0])
    said = mtpo("prove", path, "-p", "s.no")
    nothing = "no invariant, step property or variant to prove"
    assert (said.code, said.out, said.err) == (2, "", f"mtpo: unknown property 's.no'; {nothing}\n")


@pytest.mark.parametrize("verb", ["prove", "explore", "mutate"])
def test_what_can_be_recorded_is_said_in_the_help(mtpo: Mtpo, verb: str) -> None:
    told = " ".join(mtpo(verb, "--help").out.split())
    assert re.search(r"--record <path> write \w+ \w+ into this ledger \(built-in specs only\)", told), told


def test_a_spec_without_anything_to_prove(mtpo: Mtpo, tmp_path: Path) -> None:
    path = tmp_path / "bare.py"
    path.write_text(SET_ONCE.split("@s.step")[0])
    said = mtpo("prove", path)
    assert (said.code, said.out) == (2, "")
    assert said.err == "mtpo: s: no invariant, step property or variant to prove\n"


@pytest.mark.parametrize("timeout", ["0", "-1", "soon"])
def test_a_time_that_is_none(mtpo: Mtpo, lock_path: Path, timeout: str) -> None:
    said = mtpo("prove", lock_path, "--timeout", timeout)
    assert (said.code, said.out) == (2, "")
    assert "--timeout" in said.err
    assert "Traceback" not in said.err


def test_the_installed_command_is_the_same(lock_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from mtpo_core.cli import main; main()", "prove", str(lock_path), "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert {v["status"] for v in json.loads(done.stdout)["verdicts"]} == {"PROVED"}


# -- files that do not only declare --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import sys\nsys.exit(0)\n", ":2: the file ends the program itself (exit 0); a spec only declares"),
        ("x = 1\nraise BaseException('odd')\n", ":2: BaseException: odd"),
        ("raise ValueError\n", ":1: ValueError"),
        ("raise KeyboardInterrupt\n", ":1: KeyboardInterrupt"),
        ("x = 1\n", ": declares no Spec; write"),
        ("from mtpo.spec.language import Spec\ns = Spec('s')\n", ": spec `s` has no variables, so there is nothing"),
        (SET_ONCE.split("@s.action")[0], ": spec `s` has no actions"),
        ("x = \x00\n", ""),
    ],
)
@pytest.mark.parametrize("verb", ["prove", "explore", "mutate"])
def test_a_file_that_declares_no_spec_is_refused_in_one_line(
    mtpo: Mtpo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str, text: str, reason: str
) -> None:
    (tmp_path / "odd.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    said = mtpo(verb, "odd.py")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"mtpo: odd.py{reason}"), said.err
    assert said.err.count("\n") == 1


def test_a_spec_with_two_names_is_proven_once(mtpo: Mtpo, tmp_path: Path) -> None:
    path = tmp_path / "two.py"
    path.write_text(f"{SET_ONCE}\nagain = s\n")
    said = mtpo("prove", path, "--json")
    assert (said.code, said.json["specs"]) == (0, ["s"])


def test_what_a_file_prints_is_no_output_of_the_verb(mtpo: Mtpo, tmp_path: Path) -> None:
    path = tmp_path / "talk.py"
    path.write_text(f"{SET_ONCE}\nprint('hello')\n")
    said = mtpo("prove", path, "--json")
    assert (said.code, said.err) == (0, "hello\n")
    assert said.json["specs"] == ["s"]


def test_errors_name_the_file_as_it_was_given(mtpo: Mtpo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bad.py").write_text(SET_ONCE.replace("~h(p))", "h)"))
    monkeypatch.chdir(tmp_path)
    assert mtpo("prove", "bad.py").err.startswith("mtpo: bad.py:17: ")


@pytest.mark.parametrize("timeout", ["inf", "nan", "-1", "0", "1e300"])
def test_a_timeout_without_end_is_refused(mtpo: Mtpo, timeout: str) -> None:
    said = mtpo("prove", "kv", "--timeout", timeout)
    assert (said.code, said.out) == (2, "")
    assert "--timeout" in said.err
    assert "Traceback" not in said.err


def test_assumptions_without_a_model_are_named(mtpo: Mtpo, tmp_path: Path) -> None:
    path = tmp_path / "void.py"
    path.write_text(
        f"{SET_ONCE}\n@s.assume('s.no')\ndef no():\n    from mtpo.spec.language.terms import FALSE\n    return FALSE\n"
    )
    said = mtpo("prove", path)
    assert said.code == 1
    assert "FAILED   s.no" in said.out
    assert "s.no can't hold: no model satisfies the assumptions" in said.out


def test_a_comparison_without_parentheses_gets_a_hint(mtpo: Mtpo, tmp_path: Path) -> None:
    path = tmp_path / "loose.py"
    path.write_text(SET_ONCE.replace('require("free", ~h(p))', 'require("free", h(p) & p == p)'))
    said = mtpo("prove", path)
    assert said.code == 2
    assert "& | ~ bind tighter than comparisons: write (p == q) & ~(r < s)" in said.err


def test_a_reader_that_goes_away_is_no_verdict(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).parent / "mtpo"), "prove", "kv"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141
