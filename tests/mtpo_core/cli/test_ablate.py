"""The verb ``ablate``: what a rule is for, as a matrix, as a list with the runs, and for machines; of a user's file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

import mtpo.proofs.mutants.ablate as ablating
from mtpo.spec.mtpo import mtpo as protocol
from mtpo_core.cli import common
from mtpo_core.cli.ablated import matrix

Mtpo = Callable[..., Any]
HEAD = "each rule, and what breaks without it, with the steps of a shortest run that does"
SET_ONCE = (Path(__file__).parents[2] / "spec" / "set_once.py").read_text()


@pytest.fixture(autouse=True)
def eighty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of the usual width."""
    monkeypatch.setattr(common.out, "width", 80)


def test_of_what_goes_on_for_ever_it_is_said_why(mtpo: Mtpo) -> None:
    said = mtpo("ablate", "--only", "one-way", "--traces")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith(f"{HEAD}\n\none-way ")
    *_, last, on, why, nothing, summary = said.out.splitlines()
    assert last.strip() == "basis(agent1): 1 -> 3"
    assert on.strip() == "and so on: nothing ends it, as is proven"
    assert why.strip() == "two_way.endless: Somebody has still to act, or has been told of a change."
    assert (nothing, summary) == ("", "1 rule, 0 break nothing when dropped")


@pytest.mark.parametrize(
    ("rules", "idle", "summary"),
    [
        (1, 0, "1 rule, 0 break nothing when dropped"),
        (1, 1, "1 rule, 1 breaks nothing when dropped"),
        (3, 0, "3 rules, 0 break nothing when dropped"),
        (3, 1, "3 rules, 1 breaks nothing when dropped"),
        (3, 2, "3 rules, 2 break nothing when dropped"),
        (3, 3, "3 rules, 3 break nothing when dropped"),
    ],
)
def test_how_many_rules_are_for_something(
    mtpo: Mtpo, monkeypatch: pytest.MonkeyPatch, rules: int, idle: int, summary: str
) -> None:
    row = ablating.livelock(ablating.RULES[-1])
    rows = [attrs.evolve(row, broken={}) if number < idle else row for number in range(rules)]
    monkeypatch.setattr(ablating, "ablate", lambda *args: rows)
    said = mtpo("ablate")
    assert said.out.splitlines()[-1] == summary
    assert said.out.count("BREAKS NOTHING") == idle
    assert said.code == (1 if idle else 0)


def test_a_file_has_a_matrix_of_its_clauses_and_all_that_breaks(mtpo: Mtpo, lock_path: Path) -> None:
    said = mtpo("ablate", lock_path)
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == [
        HEAD,
        "",
        "                     exclusion  no-barging  emptied",
        "lock.acquire.free            2           2        .",
        "lock.release.holder          .           .        1",
        "",
        "lock.acquire.free    ~(exists q: Process. holds(q)) (lock.py:18)",
        "lock.release.holder  holds(p) (lock.py:25)",
        "",
        "exclusion   At most one process is inside.",
        "no-barging  A process that enters finds nobody inside.",
        "emptied     Without new entries everybody leaves.",
        "",
        "2 rules, 0 break nothing when dropped",
    ]


def test_where_names_are_too_wide_numbers_stand_for_them_and_a_list_for_the_matrix(
    mtpo: Mtpo, lock_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = mtpo("ablate", lock_path).out
    monkeypatch.setattr(common.out, "width", 25)
    numbered = mtpo("ablate", lock_path).out.splitlines()
    assert numbered[2:5] == ["                    1 2 3", "lock.acquire.free   2 2 .", "lock.release.holder . . 1"]
    assert numbered[9:12] == [
        "1  lock.exclusion   At most one process is inside.",
        "2  lock.no-barging  A process that enters finds nobody inside.",
        "3  lock.emptied     Without new entries everybody leaves.",
    ]
    monkeypatch.setattr(common.out, "width", 24)
    listed = mtpo("ablate", lock_path).out.splitlines()
    assert listed[2:5] == [
        "lock.acquire.free ~(exists q: Process. holds(q)) (lock.py:18)",
        f"{'':<15}lock.exclusion                        2 steps",
        f"{'':<15}lock.no-barging                       2 steps",
    ]
    assert wide.splitlines()[-1] == numbered[-1] == listed[-1]


def test_the_numbers_of_a_matrix_do_not_touch() -> None:
    """Of the protocol too: two of its runs have more digits than there are properties."""
    (row,) = ablating.ablate("redo-order")
    assert {len(trace.steps) for trace in row.broken.values()} == {15, 19}
    one_way = ablating.livelock(ablating.RULES[-1])
    assert matrix(protocol, [row, one_way], 60)[:3] == [
        "            1  2  3",
        "redo-order 15 19 15",
        "one-way     .  .  .  of two_way, for ever: two_way.endless, 4 steps to where it was; "
        "Two agents that halve each other's value.",
    ]


def test_the_runs_of_a_clause_are_shown(mtpo: Mtpo, lock_path: Path) -> None:
    said = mtpo("ablate", lock_path, "--only", "free", "--traces")
    assert said.code == 0
    assert said.out.splitlines() == [
        HEAD,
        "",
        "lock.acquire.free ~(exists q: Process. holds(q)) (lock.py:18)",
        f"{'':<15}lock.exclusion                        2 steps",
        *_run("false: forall p: Process, q: Process. (holds(p) & holds(q)) -> (p = q)"),
        f"{'':<19}for p = process0, q = process1",
        f"{'':<19}where holds(process0) is true, holds(process1) is true, process0 = process1 is false",
        f"{'':<15}lock.no-barging                       2 steps",
        *_run("false: forall p: Process, q: Process. (holds'(p) & ~holds(p)) -> ~holds(q)"),
        f"{'':<19}for p = process1, q = process0",
        f"{'':<19}where holds'(process1) is true, holds(process1) is false, holds(process0) is true",
        "",
        "1 rule, 0 break nothing when dropped",
    ]


def _run(false: str) -> list[str]:
    steps = (("step 1: acquire(p=process0)", "process0"), ("step 2: acquire(p=process1)", "process1"))
    lines = [line for step, p in steps for line in (step, f"  holds({p}): false -> true")]
    return [f"{'':<19}{line}" for line in ("first state", *lines, false)]


def test_for_machines_each_cell_has_its_run(mtpo: Mtpo, lock_path: Path) -> None:
    said = mtpo("ablate", lock_path, "--json")
    assert (said.code, said.err) == (0, "")
    assert (said.json["breaks_nothing"], said.json["unknown"]) == ([], [])
    cells = {row["rule"]: {id: cell["steps"] for id, cell in row["breaks"].items()} for row in said.json["rows"]}
    assert cells == {
        "lock.acquire.free": {"lock.exclusion": 2, "lock.no-barging": 2},
        "lock.release.holder": {"lock.emptied": 1},
    }
    (cell,) = said.json["rows"][1]["breaks"].values()
    assert cell == {
        "steps": 1,
        "trace": ["first state", "step 1: release(p=process0)"],
        "why": ["false: release decreases (holds(x))"],
    }


def test_the_runs_are_drawn(mtpo: Mtpo, lock_path: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    said = mtpo("ablate", lock_path, "--picture", page)
    assert said.out.splitlines()[-3:] == [f"picture: {page}", "", "2 rules, 0 break nothing when dropped"]
    drawn = page.read_text()
    assert all(text in drawn for text in ("without lock.acquire.free", "lock.emptied", "What each rule of lock is for"))


def test_a_clause_that_is_for_nothing_is_a_failure_unless_it_is_listed(mtpo: Mtpo, tmp_path: Path) -> None:
    path = tmp_path / "once.py"
    path.write_text(SET_ONCE)
    said = mtpo("ablate", path)
    assert (said.code, said.err) == (1, "")
    assert said.out.splitlines()[3:] == [
        f"{'':<15}BREAKS NOTHING in 4 states",
        "",
        "1 rule, 1 breaks nothing when dropped",
    ]
    assert mtpo("ablate", path, "--json").json["breaks_nothing"] == ["s.take.free"]
    path.write_text(SET_ONCE + '\nEQUIVALENT = {"s.take.free": "to set it again changes nothing"}\n')
    said = mtpo("ablate", path)
    assert said.code == 0
    assert said.out.splitlines()[3:] == [
        f"{'':<15}breaks nothing in 4 states; listed: to set it again changes nothing",
        "",
        "1 rule, 0 break nothing when dropped, 1 equivalent",
    ]
    said = mtpo("ablate", path, "--json").json
    assert (said["breaks_nothing"], said["rows"][0]["equivalent"]) == ([], "to set it again changes nothing")


@pytest.mark.parametrize(
    "listed", ["s.take.nothing", "s.take.free@00000000", "s.gone.free", "s.take.free~0"], ids=lambda key: str(key)
)
def test_a_list_that_is_stale_is_refused_in_the_words_of_mutate(mtpo: Mtpo, tmp_path: Path, listed: str) -> None:
    path = tmp_path / "once.py"
    path.write_text(SET_ONCE + f'\nEQUIVALENT = {{"{listed}": "to set it again changes nothing"}}\n')
    said = mtpo("ablate", path)
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert said.err.startswith(f"mtpo: {path}: EQUIVALENT") and listed.partition("@")[0] in said.err
    assert said.err == mtpo("mutate", path).err


def test_what_is_not_seen_to_break_up_to_the_limit_is_unknown(mtpo: Mtpo, lock_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "once.py"
    path.write_text(SET_ONCE)
    said = mtpo("ablate", path, "--limit", 1)
    assert said.code == 3
    assert said.out.splitlines()[3].strip() == "UNKNOWN: nothing breaks in 3 states, not all"
    assert said.out.splitlines()[-1] == "1 rule, 0 break nothing when dropped, 1 unknown"
    found = mtpo("ablate", path, "--limit", 1, "--json").json
    assert (found["breaks_nothing"], found["unknown"]) == ([], ["s.take.free"])
    seen = mtpo("ablate", lock_path, "--size", 3, "--limit", 5)
    assert seen.code == 0
    assert seen.out.splitlines()[3] == "lock.acquire.free            2           2        .  (in 6 states, not all)"


def test_every_spec_of_a_file_has_its_matrix(mtpo: Mtpo, lock_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "two.py"
    path.write_text(SET_ONCE + lock_path.read_text().replace("from __future__ import annotations", ""))
    said = mtpo("ablate", path)
    assert said.code == 1
    assert f"{'':<15}BREAKS NOTHING in 4 states\n\n{'':<21}exclusion" in said.out
    assert said.out.splitlines()[-1] == "3 rules, 1 breaks nothing when dropped"
    assert "s.take" not in mtpo("ablate", path, "--only", "lock").out


def test_a_built_in_spec_is_ablated_clause_by_clause_with_what_is_listed(mtpo: Mtpo) -> None:
    said = mtpo("ablate", "kv", "--only", "begin")
    assert said.code == 0
    assert said.out.splitlines()[3].strip() == (
        "breaks nothing in 1,312 states; listed: beginning again changes nothing"
    )


@pytest.mark.parametrize(
    ("change", "args", "message"),
    [
        (("", ""), ["--only", "nix"], "no rule's id contains 'nix'; known: lock.acquire.free, lock.release.holder"),
        (("", ""), ["--size", "Thread=2"], "--size Thread=2: no sort 'Thread'; known: Process"),
        (("    require(", "    # require("), [], "FILE: no action has a guard clause to drop, require(NAME, FORMULA)"),
        (
            ('    require("free", ~exists(Process, lambda q: holds(q)))\n', ""),
            [],
            "lock fails as it stands: lock.exclusion, lock.no-barging; `mtpo explore` shows how; mend it before its "
            "rules are dropped",
        ),
        (
            (', raised_by=("acquire",)', ""),
            [],
            "lock fails as it stands: lock.emptied; `mtpo prove` shows how; mend it before its rules are dropped",
        ),
    ],
)
def test_what_cannot_be_ablated_is_said_in_one_line(
    mtpo: Mtpo, lock_path: Path, tmp_path: Path, change: tuple[str, str], args: list[str], message: str
) -> None:
    path = tmp_path / "mine.py"
    path.write_text(lock_path.read_text().replace(*change))
    said = mtpo("ablate", path, *args)
    assert (said.code, said.out, said.err) == (2, "", f"mtpo: {message.replace('FILE', str(path))}\n")


def test_a_spec_of_which_nothing_can_break_is_refused(mtpo: Mtpo, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(SET_ONCE.split("@s.step_property")[0])
    said = mtpo("ablate", path)
    assert (said.code, said.out) == (2, "")
    assert said.err == "mtpo: s: no invariant, step property or variant that could break; declare one\n"


def test_the_sizes_of_mtpo_are_its_own(mtpo: Mtpo) -> None:
    said = mtpo("ablate", "--size", 2)
    assert (said.code, said.out) == (2, "")
    assert said.err == "mtpo: --size means nothing for mtpo: its instances have two agents with one call each\n"
