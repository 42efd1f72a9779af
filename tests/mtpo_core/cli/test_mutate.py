"""The verb ``mutate``: survivors are failures, and nothing to try is not a success."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mtpo.proofs.evidence as evidence
import mtpo.proofs.mutants.mutate as mutating
from mtpo_core.cli import common

Mtpo = Callable[..., Any]
SET_ONCE = (Path(__file__).parents[2] / "spec" / "set_once.py").read_text()


@pytest.fixture
def loose(tmp_path: Path, lock_path: Path) -> Path:
    """The lock's file without its variant: nothing says that only a holder leaves."""
    path = tmp_path / "loose.py"
    path.write_text(lock_path.read_text().split("@lock.variant")[0])
    return path


def test_every_mutant_of_the_lock_is_killed_and_the_code_is_0(mtpo: Mtpo, lock_path: Path) -> None:
    said = mtpo("mutate", lock_path, "--json")
    assert (said.code, said.err) == (0, "")
    assert said.json["survived"] == []
    assert {m["mutant"]: m["dropped"] for m in said.json["mutants"]} == {
        "lock.acquire.free": "guard: ~(exists q: Process. holds(q))",
        "lock.acquire.free~0": "guard: one Process q left out of exists q: Process. holds(q)",
        "lock.acquire.holds:=": "update dropped: holds[p] := true",
        "lock.release.holder": "guard: holds(p)",
        "lock.release.holds:=": "update dropped: holds[p] := false",
    }
    assert all(m["killed_by"] and m["how"] and m["equivalent"] is None for m in said.json["mutants"])


def test_a_survivor_is_a_failure_and_the_code_is_1(mtpo: Mtpo, loose: Path) -> None:
    said = mtpo("mutate", loose, "--only", "holder")
    assert (said.code, said.err) == (1, "")
    assert said.out.startswith("SURVIVED   lock.release.holder")
    _, hint, *rest = said.out.splitlines()
    assert rest == ["", "1 mutant, 0 killed, 1 survived"]
    listed = hint.partition("list it as ")[2].rstrip(")")
    assert mtpo("mutate", loose, "--only", "holder", "--json").json["survived"] == ["lock.release.holder"]
    loose.write_text(loose.read_text() + f'\nEQUIVALENT = {{"{listed}": "who does not hold it leaves nothing"}}\n')
    assert mtpo("mutate", loose, "--only", "holder").out.startswith("equivalent lock.release.holder")


def test_the_run_that_killed_a_mutant_is_drawn(mtpo: Mtpo, lock_path: Path, loose: Path, tmp_path: Path) -> None:
    page = tmp_path / "lock.html"
    said = mtpo("mutate", lock_path, "--only", "acquire", "--picture", page)
    assert said.code == 0 and f"picture: {page}" in said.out
    text = page.read_text()
    assert all(name in text for name in ("lock.acquire.free~0", "lock.exclusion", "process1"))
    page.unlink()
    said = mtpo("mutate", loose, "--only", "holder", "--picture", page)
    assert said.code == 1 and "no picture" in said.out and not page.exists()


def test_the_run_that_killed_a_mutant_is_shown(mtpo: Mtpo, lock_path: Path) -> None:
    said = mtpo("mutate", lock_path, "--only", "free", "--traces")
    assert said.code == 0
    why = [
        "           violated: lock.exclusion",
        "             false: forall p: Process, q: Process. (holds(p) & holds(q)) -> (p = q)",
        "             for p = process0, q = process1",
        "             where holds(process0) is true, holds(process1) is true, process0 = process1 is false",
        "           violated: lock.no-barging",
        "             false: forall p: Process, q: Process. (holds'(p) & ~holds(p)) -> ~holds(q)",
        "             for p = process1, q = process0",
        "             where holds'(process1) is true, holds(process1) is false, holds(process0) is true",
    ]
    assert said.out.splitlines() == [
        f"{'killed':<10} {'lock.acquire.free':<38} lock.exclusion, lock.no-barging",
        "           weakened: guard: ~(exists q: Process. holds(q))",
        "           first state",
        "           step 1: acquire(p=process0)",
        "             holds(process0): false -> true",
        "           step 2: acquire(p=process1)",
        "             holds(process1): false -> true",
        *why,
        f"{'killed':<10} {'lock.acquire.free~0':<38} lock.exclusion, lock.no-barging",
        "           weakened: guard: one Process q left out of exists q: Process. holds(q) (skipped, in a step)",
        "           first state",
        "           step 1: acquire(p=process0, skipped=process0)",
        "             holds(process0): false -> true",
        "           step 2: acquire(p=process1, skipped=process0)",
        "             holds(process1): false -> true",
        *why,
        "",
        "2 mutants, 2 killed, 0 survived",
    ]


def test_what_a_step_does_not_decrease_is_said(mtpo: Mtpo, lock_path: Path) -> None:
    said = mtpo("mutate", lock_path, "--only", "release.holder", "--traces")
    assert said.out.splitlines()[3:6] == [
        "           step 1: release(p=process0)",
        "           violated: lock.emptied",
        "             false: release decreases (holds(x))",
    ]


def test_where_there_is_no_terminal_a_line_says_now_and_then_how_far_it_is(
    mtpo: Mtpo, lock_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while one mutant takes long."""
    monkeypatch.setattr(common, "EVERY", 0.01)
    monkeypatch.setattr(mutating, "processes", lambda: 0)
    said, tried = threading.Event(), mutating.try_mutant

    def slow(*args: Any, **kwargs: Any) -> Any:
        assert said.wait(60)
        return tried(*args, **kwargs)

    def tell(line: str, **kwargs: Any) -> None:
        lines.append(line)
        if "0 of 1 mutants, lock.acquire.free~0" in line:
            said.set()

    lines: list[str] = []
    monkeypatch.setattr(mutating, "try_mutant", slow)
    monkeypatch.setattr(common, "print", tell, raising=False)
    assert mtpo("mutate", lock_path, "--only", "free~0").code == 0
    assert said.is_set()
    assert all(re.fullmatch(r"trying mutants of lock(: .*)? \(\d+ s\)", line) for line in lines)
    before = len(lines)
    assert mtpo("prove", lock_path, "--json").code == 0
    assert mtpo("mutate", lock_path, "--only", "free~0", "--json").code == 0
    assert len(lines) == before, "silent where the output is for a machine"


def test_one_that_is_listed_as_equivalent_says_why(mtpo: Mtpo) -> None:
    said = mtpo("mutate", "kv", "--only", "kv.evict.published")
    assert said.code == 0
    guard, update = said.out.splitlines()[:2]
    assert guard.split()[:2] == ["equivalent", "kv.evict.published"]
    assert guard.endswith("an unowned block that is not cached is free already")
    assert update.split()[:2] == ["killed", "kv.evict.published:="]
    count = re.search(r"^\d+ mutants, \d+ killed, 0 survived, \d+ equivalent$", said.out, re.MULTILINE)
    assert count is not None
    total, *parts = map(int, re.findall(r"\d+", count[0]))
    assert sum(parts) == total


def test_a_mutant_that_does_not_exist_is_a_mistake(mtpo: Mtpo, lock_path: Path) -> None:
    said = mtpo("mutate", lock_path, "--only", "fairness")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("mtpo: no mutant's id contains 'fairness'; an id is ")
    assert said.err.count("\n") == 1


def test_a_few_mutants_are_not_recorded_as_all(mtpo: Mtpo, tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    said = mtpo("mutate", "kv", "--only", "kv.evict.leaf", "--record", path)
    assert (said.code, said.out) == (2, "")
    assert said.err == "mtpo: --record is for all mutants of a spec: leave out --only\n"
    assert not path.exists()


def test_a_mutant_that_is_killed_is_not_equivalent(mtpo: Mtpo, tmp_path: Path, lock_path: Path) -> None:
    """A list of equivalents that hides nothing: an entry that is not true is a failure."""
    path = tmp_path / "own.py"
    path.write_text(lock_path.read_text() + '\nEQUIVALENT = {"lock.acquire.free": "somebody looks after it"}\n')
    said = mtpo("mutate", path, "--only", "lock.acquire.free")
    assert said.code == 1
    assert said.out.startswith("MISLISTED  lock.acquire.free")
    assert said.out.endswith("listed as equivalent, and killed: lock.acquire.free\n")
    assert mtpo("mutate", path, "--only", "lock.acquire.free", "--json").json["mutants"][0]["mislisted"] is True


# -- a user's own file ---------------------------------------------------------------------------------------------


def test_a_spec_that_fails_as_it_stands_has_no_mutants(mtpo: Mtpo, broken: Path) -> None:
    said = mtpo("mutate", broken)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("mtpo: lock fails as it stands: lock.exclusion (exhaustive), lock.no-barging (")
    assert said.err.endswith("`mtpo explore` shows how; mend it before its mutants\n")


def test_a_file_lists_its_equivalent_mutants(mtpo: Mtpo, tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(SET_ONCE)
    said = mtpo("mutate", path)
    assert said.code == 1
    assert "SURVIVED   s.take.free" in said.out
    path.write_text(SET_ONCE + 'EQUIVALENT = {"s.take.free": "again", "s.take.h:=": "nothing speaks of it"}\n')
    said = mtpo("mutate", path)
    assert said.code == 0, said.out
    assert "equivalent s.take.free" in said.out
    path.write_text(SET_ONCE + 'EQUIVALENT = {"s.take.nothing": "x"}\n')
    said = mtpo("mutate", path)
    assert (said.code, said.out) == (2, "")
    assert "EQUIVALENT names no mutant: s.take.nothing" in said.err
    path.write_text(SET_ONCE + 'EQUIVALENT = {"s.take.free@00000000": "again", "s.take.h:=": "nothing asks"}\n')
    said = mtpo("mutate", path)
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert "EQUIVALENT: the rule of s.take.free@00000000 says something else now: if s.take.free (guard: " in said.err
    path.write_text(SET_ONCE + "EQUIVALENT = 7\n")
    assert "EQUIVALENT must map the ids of mutants to reasons" in mtpo("mutate", path).err
    path.write_text(SET_ONCE + 'EQUIVALENT = {"s.take.free": " "}\n')
    assert "EQUIVALENT must map the ids of mutants to reasons" in mtpo("mutate", path).err


def test_a_kill_says_how(mtpo: Mtpo, lock_path: Path) -> None:
    said = mtpo("mutate", lock_path)
    assert (
        "(the action can't be taken any more)" in said.out
        or "(what must be reachable is not, or an action is never taken)" in said.out
    )


@pytest.mark.parametrize("name", ["mtpo", "kv"])
def test_a_spec_of_ones_own_may_bear_the_name_of_a_built_in_one(mtpo: Mtpo, tmp_path: Path, name: str) -> None:
    """It has its own sizes, and the excuses of the built-in one are not its own."""
    path = tmp_path / "own.py"
    text = SET_ONCE.replace('Spec("s")', f'Spec("{name}")').replace("s.kept", f"{name}.kept")
    path.write_text(text.replace("def take", "def evict").replace('"free"', '"published"').replace('"s.', f'"{name}.'))
    said = mtpo("mutate", path, "--only", "published")
    assert (said.code, said.err) == (1, "")
    assert said.out.startswith(f"SURVIVED   {name}.evict.published")
    said = mtpo("explore", path)
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith(f"{name}: 2 P; 1 initial state\n4 states")


def test_a_spec_that_needs_more_elements_is_given_them(mtpo: Mtpo, tmp_path: Path) -> None:
    path = tmp_path / "three.py"
    three = "\n@s.reachable('s.three')\ndef three() -> Bool:\n    return exists(P, P, P, lambda p, q, r: h(p) & h(q) & "
    three += "h(r) & (p != q) & (q != r) & (p != r))\n"
    path.write_text(SET_ONCE.replace("Bool, Sort", "Bool, exists, Sort") + three)
    said = mtpo("mutate", path, "--only", "h:=")
    assert (said.code, said.out) == (2, "")
    assert said.err == (
        "mtpo: s fails as it stands: s.three (never reached); "
        "with 2 elements of each sort; if that is too few, give --size\n"
    )
    said = mtpo("mutate", path, "--only", "h:=", "--size", 3)
    assert said.code == 0, said.err
    assert "(what must be reachable is not, or an action is never taken)" in said.out
    assert "--size means nothing for mtpo" in mtpo("mutate", "mtpo", "--size", 3).err
    assert "leave out --size" in mtpo("mutate", "kv", "--size", 3, "--record", tmp_path / "l.json").err


def test_of_a_few_mutants_the_ledger_says_that_the_spec_holds(mtpo: Mtpo, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as its sources are the same; else it is asked, as it is of a spec of one's own and of another size."""
    asked: list[str] = []
    monkeypatch.setattr(mutating, "check_sound", lambda spec, actions, *rest, **more: asked.extend(actions))
    said = "that kv itself holds is in the ledger, for the sources as they are, and was not asked again"
    for held, more in ((True, []), (False, []), (True, ["--size", "2"])):
        monkeypatch.setattr(evidence, "held_before", lambda name, held=held: held and name == "kv")
        asked.clear()
        told = mtpo("mutate", "kv", "--only", "kv.fill.own", *more)
        assert told.code == 0 and told.out.splitlines()[0].startswith("killed     kv.fill.own ")
        assert (said in told.out.splitlines()) == (held and not more) and asked == (
            [] if held and not more else ["fill"]
        )
        data = mtpo("mutate", "kv", "--only", "kv.fill.own", "--json", *more).json
        assert data["spec_holds"] == ("by the ledger" if held and not more else "asked of what these mutants need")
