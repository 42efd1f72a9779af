"""The verb ``explore``: counts, shortest runs, exit codes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Mtpo = Callable[..., Any]


def test_what_holds_is_checked_and_the_code_is_0(mtpo: Mtpo, lock_path: Path) -> None:
    said = mtpo("explore", lock_path, "--size", 3, "--json")
    assert (said.code, said.err) == (0, "")
    (found,) = said.json["explorations"]
    assert (found["sizes"], found["states"], found["transitions"], found["depth"]) == ({"Process": 3}, 4, 6, 1)
    assert found["complete"] is True
    assert found["actions"] == {"acquire": 3, "release": 3}
    assert {v["property"]: v["status"] for v in found["verdicts"]} == {
        "lock.exclusion": "CHECKED",
        "lock.no-barging": "CHECKED",
        "lock.entered": "CHECKED",
    }


def test_what_is_violated_is_shown_with_a_shortest_run_and_the_code_is_1(mtpo: Mtpo, broken: Path) -> None:
    said = mtpo("explore", broken, "--json")
    assert (said.code, said.err) == (1, "")
    (found,) = said.json["explorations"]
    assert found["complete"] is False
    verdict, *others = found["verdicts"]
    assert (verdict["property"], verdict["status"]) == ("lock.exclusion", "FAILED")
    assert {v["property"]: v["status"] for v in others} == {"lock.no-barging": "FAILED", "lock.entered": "CHECKED"}
    assert verdict["trace"] == [
        "first state",
        "step 1: acquire(p=process0)",
        "  holds(process0): false -> true",
        "step 2: acquire(p=process1)",
        "  holds(process1): false -> true",
    ]
    said = mtpo("explore", broken)
    assert said.code == 1
    assert "FAILED   lock.exclusion" in said.out
    assert "         step 2: acquire(p=process1)\n" in said.out


def test_what_is_cut_short_is_unknown_and_the_code_is_3(mtpo: Mtpo, lock_path: Path) -> None:
    said = mtpo("explore", lock_path, "--size", 4, "--limit", 2)
    assert (said.code, said.err) == (3, "")
    assert "UNKNOWN  lock.exclusion" in said.out
    assert "stopped at the limit of 2 states" in said.out
    assert "), not complete: stopped at --limit 2, when the state under way was finished\n" in said.out


def test_text_for_people(mtpo: Mtpo, lock_path: Path) -> None:
    lines = mtpo("explore", lock_path).out.splitlines()
    assert lines[0] == "lock: 2 Process; 1 initial state"
    assert lines[1].startswith("3 states, 4 steps, depth 1, ")
    assert lines[1].endswith(", complete")
    assert [line.split()[:2] for line in lines[2:-1]] == [
        ["CHECKED", "lock.exclusion"],
        ["CHECKED", "lock.no-barging"],
        ["CHECKED", "lock.entered"],
    ]
    assert lines[2].endswith(" exhaustive: 3 states to depth 1, symmetry off (2 Process)")
    assert lines[4].endswith(" reached: 3 states to depth 1, symmetry off (2 Process)")


def test_variants_and_endings_are_said_not_to_be_looked_at(mtpo: Mtpo, lock_path: Path, tmp_path: Path) -> None:
    assert mtpo("explore", lock_path).out.splitlines()[-1] == (
        f"not looked at: lock.emptied (variant). `mtpo prove {lock_path}` does"
    )
    path = tmp_path / "ending.py"
    path.write_text(
        lock_path.read_text()
        + '\n\n@lock.variant("lock.falls", Process, decreases=("acquire",))\n'
        + 'def falls(p: Process) -> tuple[Bool, ...]:\n    "Whoever holds it."\n    return (holds(p),)\n'
        + '\n\n@lock.ends("lock.ends")\ndef ends() -> None:\n    "Every run ends."\n'
    )
    said = mtpo("explore", path)
    assert said.code == 0, "the variant is false, which proving finds"
    line = f"not looked at: lock.emptied, lock.falls (variants); lock.ends (runs end). `mtpo prove {path}` does"
    assert said.out.splitlines()[-1] == line
    assert mtpo("prove", path, "-p", "lock.falls", "--jobs", 0).code == 1
    (found,) = mtpo("explore", path, "--json").json["explorations"]
    command = f"mtpo prove {path}"
    assert found["not_looked_at"] == {
        "variants": ["lock.emptied", "lock.falls"],
        "endings": ["lock.ends"],
        "command": command,
    }
    (found,) = mtpo("explore", "kv", "--json").json["explorations"]
    assert found["not_looked_at"] is None and "not looked at" not in mtpo("explore", "kv").out


def test_mtpo_at_its_smallest(mtpo: Mtpo) -> None:
    said = mtpo("explore", "mtpo", "--agents", 2, "--calls", 1, "--objects", 1, "--json")
    assert said.code == 0
    (found,) = said.json["explorations"]
    assert (found["initial_states"], found["states"], found["transitions"]) == (50, 11_416, 18_078)
    assert found["sizes"] == {"Agent": 2, "Call": 3, "Object": 1, "Value": 2}


def test_one_agent_alone_does_not_reach_everything(mtpo: Mtpo) -> None:
    said = mtpo("explore", "mtpo", "--agents", 1, "--objects", 1, "--json")
    assert said.code == 1
    failed = {v["property"]: v["method"] for v in said.json["explorations"][0]["verdicts"] if v["status"] == "FAILED"}
    assert failed["mtpo.reach-redone-otherwise"] == "never reached"
    assert failed["mtpo.undone"] == "action never taken"
    assert set(failed.values()) == {"never reached", "action never taken"}


def test_what_holds_is_recorded(mtpo: Mtpo, tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    assert mtpo("explore", "mtpo", "--objects", 1, "--record", path, "--json").code == 0
    rows = json.loads(path.read_text())["entries"]
    assert {(row["method"], row["status"]) for row in rows} == {("exhaustive", "CHECKED"), ("reached", "CHECKED")}
    assert {one["states"] for row in rows for one in row["detail"]["instances"]} == {11_416}


@pytest.mark.parametrize("option", [["--size", "0"], ["--limit", "0"], ["--agents", "9"], ["--objects", "many"]])
def test_sizes_out_of_range(mtpo: Mtpo, lock_path: Path, option: list[str]) -> None:
    said = mtpo("explore", lock_path, *option)
    assert (said.code, said.out) == (2, "")
    assert option[0] in said.err
    assert "Traceback" not in said.err


def test_constants_with_too_many_values_and_sorts_without_end(mtpo: Mtpo, tmp_path: Path) -> None:
    path = tmp_path / "wide.py"
    act = "x = w.var('x', init=lambda: False)\n@w.action\ndef go() -> None:\n    x.becomes(True)\n"
    act += "w.step_property('w.up')(lambda: ~x() | x.next())\n"
    text = "from mtpo.spec.language import Int, Sort, Spec\nw = Spec('w')\nclass S(Sort):\n    's'\n"
    path.write_text(f"{text}k = w.const('k', S, S, to=S)\n{act}")
    said = mtpo("explore", path, "--size", 6)
    assert (said.code, said.out) == (2, "")
    assert said.err == "mtpo: w: more than 2,000,000 choices of constants; explore smaller sizes\n"
    path.write_text(f"{text}k = w.const('k', to=Int)\n{act}")
    line = text.count("\n") + 1
    for verb in ("explore", "mutate"):
        said = mtpo(verb, path)
        assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
        assert said.err.startswith(f"mtpo: {path}:{line}: w: constant `k` is an Int, and every integer ")
        assert said.err.endswith(f"mtpo prove {path}\n")
    path.write_text(f"{text}{act.replace('go()', 'go(i: Int)')}")
    said = mtpo("explore", path)
    assert said.code == 2 and f"{path}:{line + 1}: w: argument `i` of action `go` is an Int" in said.err


def test_integers_of_a_built_in_spec_that_a_file_passes_on_are_chosen(mtpo: Mtpo, tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text("from mtpo.spec.bounded_gap import gap\n")
    said = mtpo("explore", path, "--limit", 50)
    assert (said.code, said.err) == (3, "") and said.out.startswith("gap: 3 Request; ")


@pytest.mark.parametrize(
    ("spec", "option", "reason"),
    [
        ("lock", "--agents", "give --size, the number of elements of each sort"),
        ("lock", "--objects", "give --size, the number of elements of each sort"),
        ("mtpo", "--size", "give --agents, --calls, --objects, --faults, --predicates"),
    ],
)
def test_an_option_that_means_nothing_for_the_spec_is_refused(
    mtpo: Mtpo, lock_path: Path, spec: str, option: str, reason: str
) -> None:
    target = lock_path if spec == "lock" else spec
    said = mtpo("explore", target, option, 2)
    assert (said.code, said.out) == (2, "")
    assert said.err == f"mtpo: {option} means nothing for {target}: {reason}\n"


def test_symmetry_looks_at_one_of_all_renamings(mtpo: Mtpo, lock_path: Path) -> None:
    said = mtpo("explore", lock_path, "--size", 3, "--symmetry", "--json")
    assert (said.code, said.err) == (0, "")
    (found,) = said.json["explorations"]
    assert (found["states"], found["symmetry"]) == (2, True)
    said = mtpo("explore", lock_path, "--size", 3, "--symmetry").out
    assert said.splitlines()[2].endswith(" exhaustive: 2 states to depth 1, symmetry on (3 Process)")


def test_each_sort_can_have_its_own_size(mtpo: Mtpo) -> None:
    said = mtpo("explore", "kv", "--size", "Block=1", "--size", "Request=2")
    assert said.code == 1, "with one block there is no sharing to reach, and that is a failure"
    assert said.out.startswith("kv: 2 Request, 1 Block; 1 initial state\n36 states, ")
    for wrong, why in (
        ("Page=1", "no sort 'Page'; known: "),
        ("0", "a number from 1 to 6, or SORT=NUMBER"),
        ("Block=", "a number"),
    ):
        said = mtpo("explore", "kv", "--size", wrong)
        assert (said.code, said.out) == (2, "")
        assert why in said.err


def test_what_is_not_a_spec_is_said_with_what_was_perhaps_meant(mtpo: Mtpo, tmp_path: Path) -> None:
    said = mtpo("explore", "mtpo.one-way")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "an id of mtpo? Give the spec, mtpo, and an option such as -p mtpo.one-way" in said.err
    assert "a folder; give one .py file that declares a Spec" in mtpo("explore", tmp_path).err


def test_a_violation_is_drawn(mtpo: Mtpo, broken: Path, lock_path: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    said = mtpo("explore", broken, "--picture", page)
    assert (said.code, said.err) == (1, "")
    assert said.out.endswith(f"picture: {page}\n")
    assert "         for p = process0, q = process1\n" in said.out
    assert "lock.exclusion is violated." in page.read_text(encoding="utf-8")
    page.unlink()
    said = mtpo("prove", broken, "--picture", page)
    assert said.code == 1
    assert "one step from a state that every property allows" in page.read_text(encoding="utf-8")
    page.unlink()
    said = mtpo("explore", lock_path, "--picture", page)
    assert (said.code, said.err) == (0, "")
    assert said.out.endswith(f"no picture: there is no run to draw, so {page} is not written\n")
    assert not page.exists()


_DOOR = """
from mtpo.spec.language import Bool, Sort, Spec, forall, implies, require

door = Spec("door")

class Guest(Sort):
    "a guest"

inside = door.var("inside", Guest, init=lambda g: False)

@door.action
def enter(g: Guest) -> None:
    require("out", ~inside(g))
    inside[g] = True

@door.refuted("door.alone")
def alone() -> Bool:
    "At most one guest is inside."
    return forall(Guest, Guest, lambda g, h: implies(inside(g) & inside(h), g == h))
"""


def test_a_run_that_refutes_what_must_be_refuted_is_drawn_and_written(mtpo: Mtpo, tmp_path: Path) -> None:
    (tmp_path / "door.py").write_text(_DOOR, encoding="utf-8")
    page, folder = tmp_path / "page.html", tmp_path / "runs"
    said = mtpo("explore", tmp_path / "door.py", "--picture", page, "--itf", folder)
    assert (said.code, said.err) == (0, "")
    file = folder / "door.alone.itf.json"
    assert said.out.endswith(f"itf: {file}\npicture: {page}\n") and list(folder.iterdir()) == [file]
    text = page.read_text(encoding="utf-8")
    assert "what is refuted, as it must be</title>" in text and "is violated" not in text
    assert "door.alone is refuted, as it must be. At most one guest is inside." in text
    data = json.loads(file.read_text(encoding="utf-8"))
    assert len(data["states"]) == 3 and data["#meta"]["description"].startswith("door.alone is refuted, as it must be.")


def test_where_there_is_no_run_no_folder_is_left(mtpo: Mtpo, lock_path: Path, broken: Path, tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    for verb in ("explore", "prove"):
        said = mtpo(verb, lock_path, "--itf", folder)
        assert (said.code, said.err) == (0, "") and f"no itf: there is no run to write into {folder}\n" in said.out
        said = mtpo(verb, broken, "--itf", folder, "--picture", tmp_path / "nowhere" / "page.html")
        assert said.code == 2 and "its folder does not exist" in said.err
        assert not folder.exists(), "nothing is written where not all can be"


def test_what_was_exercised_is_told(mtpo: Mtpo, lock_path: Path, tmp_path: Path) -> None:
    said = mtpo("explore", lock_path, "--coverage")
    assert (said.code, said.err) == (0, "")
    assert "exercised  lock.acquire                         2 steps, 1 of 1 conjunct true and false" in said.out
    assert said.out.endswith("8 of 8 exercised, 0 never, 0 listed\n")
    path = tmp_path / "idle.py"
    idle = "\n\n@lock.action\ndef stay(p: Process) -> None:\n"
    idle += "    require('both', holds(p) & ~holds(p))\n    holds[p] = True\n"
    path.write_text(lock_path.read_text() + idle)
    said = mtpo("explore", path, "--coverage", "--json")
    assert said.code == 1
    (found,) = said.json["coverage"]
    assert found["missing"] == ["lock.stay taken", "lock.stay.holds:= change"]
    path.write_text(path.read_text() + 'UNREACHABLE = {"lock.stay taken": "", "x": "y"}\n')
    assert mtpo("explore", path, "--coverage").err.startswith(f"mtpo: {path}: UNREACHABLE must map what no run")
    path.write_text(path.read_text().replace('taken": ""', 'taken": "never both"'))
    assert mtpo("explore", path, "--coverage").err.startswith("mtpo: UNREACHABLE names nothing of lock: x; write ")
    said = mtpo("explore", lock_path, "--coverage", "--symmetry")
    assert (said.code, said.err[:33]) == (2, "mtpo: --coverage looks at every s")


@pytest.mark.parametrize("engine", ["numpy", "torch"])
def test_every_engine_says_the_same(mtpo: Mtpo, lock_path: Path, broken: Path, engine: str) -> None:
    pytest.importorskip(engine)
    for path, code in ((lock_path, 0), (broken, 1)):
        plain, said = (mtpo("explore", path, *more, "--json") for more in ((), ("--engine", engine)))
        assert said.code == code
        (one,), (other,) = plain.json["explorations"], said.json["explorations"]
        assert (one["engine"], other["engine"]) == ("python", engine)
        assert other["bytes_per_state"] > 0
        if not code:
            same = ("states", "transitions", "depth", "complete", "actions", "verdicts")
            assert [one[k] for k in same] == [other[k] for k in same]
        else:
            traced = [v["trace"] for found in (one, other) for v in found["verdicts"] if v["status"] == "FAILED"]
            assert traced
            assert len({len([line for line in t if line.startswith("step")]) for t in traced}) == 1


def test_an_engine_that_can_not_run_says_why(mtpo: Mtpo, lock_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for options, text in (
        (("--engine", "fast"), "--engine fast: unknown; known: auto, python, compiled, numpy, torch, cupy"),
        (("--engine", "numpy", "--compiled"), "--compiled is --engine compiled: leave it out with --engine numpy"),
        (("--engine", "python", "--symmetry"), "--symmetry is not for --engine python: choose compiled, numpy"),
        (("--resume",), "--resume goes on from a checkpoint: give its folder, --checkpoint DIR"),
        (("--engine", "python", "--checkpoint", "x"), "--checkpoint is not for --engine python: choose numpy"),
        (("--engine", "numpy", "--checkpoint", "nowhere", "--resume"), "nowhere/lock: holds no checkpoint to resume"),
        (("--engine", "numpy", "--coverage"), "--coverage looks at every state with the python engine"),
        (("--engine", "torch", "--jobs", 2), "--jobs is not for --engine torch: parts are explored by numpy or python"),
        (("--compiled", "--jobs", 2), "--jobs is not for --engine compiled: parts"),
        (("--jobs", 2, "--coverage"), "--coverage looks at every state with the python engine: leave out --engine, "),
        (
            ("--jobs", 2, "--live"),
            "--live keeps every step, with the python engine: leave out --engine, --symmetry, --j",
        ),
        (("--jobs", 2, "--walks", 3), "--walks shows nothing of all states: leave out --engine, --symmetry, --jobs"),
        (("--footprints", 2), "--footprints is for mtpo: lock has none; --walks looks at states of any spec"),
        (("--footprints", 2, "--walks", 2), "--walks shows nothing of all states: leave out --engine, --symmetry, --j"),
        (("--footprints", 2, "--coverage"), "--footprints shows nothing of all states: leave out --coverage"),
        (("--footprints", 2, "--checkpoint", "x"), "footprints that are drawn are not saved: leave out --checkpoint"),
        (("--footprints", 2, "--engine", "python"), "--footprints are explored by numpy, state by state: leave out"),
    ):
        said = mtpo("explore", lock_path, *options)
        assert said.code == 2
        assert said.err.startswith(f"mtpo: {text}")
        assert said.err.count("\n") == 1
    monkeypatch.setitem(sys.modules, "cupy", None)
    said = mtpo("explore", lock_path, "--engine", "cupy")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "choose --engine numpy" in said.err


def test_whole_runs_are_looked_at(mtpo: Mtpo, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.json"
    said = mtpo("explore", "mtpo", "--objects", 1, "--live", "--record", ledger)
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[0] == "mtpo: 2 Agent, 3 Call, 1 Object, 2 Value; 50 initial states"
    assert lines[1].endswith(" s, complete; a run may end in 1,230 states, no cycle")
    assert lines[2] == "need never be taken: launch, read, call"
    assert lines[3].startswith("CHECKED  mtpo.runs-end                        live: Every run ends, with each launched")
    (entry,) = json.loads(ledger.read_text())["entries"]
    assert (entry["property"], entry["method"], entry["status"]) == ("mtpo.runs-end", "live", "CHECKED")
    assert [i["states"] for i in entry["detail"]["instances"]] == [11_416]
    said = mtpo("explore", "mtpo", "--objects", 1, "--live", "--limit", 100, "--json")
    assert said.code == 3
    (found,) = said.json["runs"]
    assert (found["complete"], found["verdict"]["status"]) == (False, "UNKNOWN")


def test_runs_that_miss_their_goal_are_shown(mtpo: Mtpo, lock_path: Path, tmp_path: Path) -> None:
    page = tmp_path / "runs.html"
    said = mtpo("explore", lock_path, "--live", "--goal", "lock.entered", "--picture", page, "--itf", tmp_path)
    assert said.code == 1
    assert "FAILED   lock.entered                         live: steps 1 to 2 can be taken over and over" in said.out
    assert "step 2: release(p=process0)" in said.out
    assert "lock.entered" in page.read_text() and (tmp_path / "lock.entered.itf.json").is_file()
    said = mtpo("explore", lock_path, "--live", "--goal", "lock.entered", "--may", "release", "--may", "acquire")
    assert said.code == 1
    assert "need never be taken: acquire, release" in said.out
    assert "live: a run may end here, short of the goal\n         first state\n" in said.out
    assert "no step must follow:\n           acquire: need not be taken: acquire(p=process0), acquire(p" in said.out
    may = ("--may", "release", "--may", "acquire", "--json", "--picture", page)
    (found,) = mtpo("explore", lock_path, "--live", "--goal", "lock.entered", *may).json["runs"]
    assert "A run may end here, short of lock.entered." in page.read_text()
    assert "lock.entered is violated" not in page.read_text()
    assert [one["action"] for one in found["no_step"]] == ["acquire", "release"]
    assert found["no_step"][1]["refused"][0]["clauses"] == ["lock.release.holder"]
    keeping = mtpo("explore", lock_path, "--live", "--goal", "lock.exclusion", "--json")
    assert (keeping.code, keeping.json["runs"][0]["states_on_cycles"]) == (0, 3)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--goal", "lock.entered"), "--goal is for whole runs: add --live"),
        (("--may", "acquire"), "--may is for whole runs: add --live"),
        (
            ("--live",),
            "--live: lock has no goal of its own; give the one that runs are to come to, --goal ID; known: lo",
        ),
        (("--live", "--goal", "lock.no-barging"), "--goal lock.no-barging: no property of states; give the one that"),
        (
            ("--live", "--goal", "lock.entered", "--may", "leave"),
            "--may leave: lock has no such action; known: acquire",
        ),
        (("--live", "--engine", "numpy"), "--live keeps every step, with the python engine: leave out --engine"),
        (("--live", "--walks", 2), "--live keeps every step, with the python engine: leave out --engine"),
        (("--seed", 2), "--seed is for random walks: add --walks"),
        (("--depth", 2), "--depth is for random walks: add --walks"),
        (("--walks", 2, "--record", "ledger.json"), "--record is for the built-in specs ("),
        (("--walks", 2, "--engine", "numpy"), "--walks shows nothing of all states: leave out --engine, --symmetry"),
        (("--walks", 2, "--size", 21), "--size 21: wants a number from 1 to 20, or SORT=NUMBER"),
        (("--size", 7), "--size 7: wants a number from 1 to 6, or SORT=NUMBER"),
        (("--live", "--coverage"), "--live keeps every step, with the python engine: leave out --engine"),
    ],
)
def test_what_whole_runs_and_walks_lack_is_said_in_one_line(
    mtpo: Mtpo, lock_path: Path, options: tuple[object, ...], text: str
) -> None:
    said = mtpo("explore", lock_path, *options)
    assert (said.code, said.err.count("\n"), said.out) == (2, 1, "")
    assert said.err.startswith(f"mtpo: {text}")


def test_random_walks_say_how_much_they_saw(mtpo: Mtpo, lock_path: Path) -> None:
    said = mtpo("explore", lock_path, "--walks", 20, "--depth", 10, "--seed", 5, "--size", 20)
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[0] == "lock: 20 Process"
    assert lines[1].startswith("20 walks, 200 steps, ") and ", depth 10, seed 5, " in lines[1]
    assert lines[2].startswith("SAMPLED  lock.exclusion                       sampled: 20 walks, 200 steps, ")
    assert [line.split()[:2] for line in lines[2:]] == [
        ["SAMPLED", "lock.exclusion"],
        ["SAMPLED", "lock.no-barging"],
        ["CHECKED", "lock.entered"],
    ]
    said = mtpo("explore", lock_path, "--walks", 1, "--depth", 1, "--json")
    (found,) = said.json["walks"]
    assert (found["walks"], found["steps"], found["seed"], found["not_reached"]) == (1, 1, 0, [])
    assert found["actions"] == {"acquire": 1, "release": 0}
    assert found["verdicts"][0]["status"] == "SAMPLED"


def test_a_walk_that_violates_something_is_shown_and_drawn(mtpo: Mtpo, broken: Path, tmp_path: Path) -> None:
    page = tmp_path / "walks.html"
    said = mtpo("explore", broken, "--walks", 20, "--size", 20, "--picture", page, "--itf", tmp_path)
    assert said.code == 1
    assert "FAILED   lock.exclusion                       sampled: At most one process is inside.\n" in said.out
    assert "step 2: acquire(p=process" in said.out and "step 3" not in said.out
    assert "lock.exclusion" in page.read_text() and (tmp_path / "lock.exclusion.itf.json").is_file()
    assert said.out.endswith(f"picture: {page}\n")


def test_what_is_too_large_even_for_walks_is_said(mtpo: Mtpo) -> None:
    said = mtpo("explore", "mtpo", "--walks", 1, "--agents", 4, "--calls", 4, "--objects", 3)
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "choose smaller sizes" in said.err
    assert mtpo("explore", "mtpo", "--walks", 2, "--agents", 3, "--calls", 3, "--faults").code == 0
