"""What a spec answers in a notebook."""

from __future__ import annotations

import inspect
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from mtpo.proofs.ledger import read_ledger
from mtpo.proofs.notebook.asking import checked
from mtpo.spec.language import Bool, Sort, Spec, exists, forall, implies, require
from mtpo.spec.mtpo import mtpo
from mtpo.spec.paged_kv import kv
from mtpo.spec.study import Studied, explain, verify
from mtpo_core.cli.ablate import ablate_command
from mtpo_core.cli.explain import explain_command
from mtpo_core.cli.explore import explore_command
from mtpo_core.cli.mutate import mutate_command
from mtpo_core.cli.prove import prove_command
from mtpo_core.cli.verify import verify_command
from mtpo_core.resources.filesystem import FileSystem
from mtpo_core.resources.filetools import file_tools
from mtpo_core.runtime import Session
from mtpo_core.sync import SyncSession
from mtpo_core.tools import Toolbox, ToolCall


class Guest(Sort):
    "a guest"


def door(*, shut: bool = False) -> Spec:
    """Guests go in. Expected counterexamples: one that there is, and one that there is not."""
    spec = Spec("door")
    inside = spec.var("inside", Guest, init=lambda g: False)

    @spec.action
    def enter(g: Guest) -> None:
        require("out", ~inside(g))
        if shut:
            require("open", inside(g))
        inside[g] = True

    @spec.refuted("door.alone")
    def alone() -> Bool:
        "At most one guest is inside."
        return forall(Guest, Guest, lambda g, h: implies(inside(g) & inside(h), g == h))

    @spec.refuted("door.stays-open")
    def stays_open() -> Bool:
        "Somebody can always enter."
        return exists(Guest, lambda g: ~inside(g)) | forall(Guest, lambda g: inside(g))

    @spec.step_property("door.one-at-a-time")
    def one_at_a_time() -> Bool:
        "Who is inside was there, or no other came."
        return forall(
            Guest, Guest, lambda g, h: implies(inside.next(g) & ~inside(g) & inside.next(h) & ~inside(h), g == h)
        )

    @spec.step_property("door.enters-once")
    def enters_once() -> Bool:
        "A step takes somebody in."
        return exists(Guest, lambda g: inside.next(g) & ~inside(g))

    return spec


@pytest.mark.parametrize(
    ("command", "asked", "elsewhere"),
    [
        (explore_command, kv.explore, {"spec", "agents", "calls", "objects", "itf", "picture", "record", "json"}),
        (prove_command, kv.prove, {"spec", "itf", "picture", "record", "json"}),
        (mutate_command, kv.mutate, {"spec", "picture", "record", "json"}),
        (ablate_command, kv.ablate, {"spec", "picture", "json"}),
        (explain_command, explain, {"spec", "picture", "pictures", "json"}),
        (verify_command, verify, {"json"}),
    ],
)
def test_every_option_of_a_command_is_there(command: Any, asked: Any, elsewhere: set[str]) -> None:
    """Sizes are by any name, files are written by the answer, and the spec is the one that is asked."""
    named = {"every": "checkpoint_every", "shrunk": "shrink"} if command is not verify_command else {}
    named |= {"every": "all", "shrunk": "shrink"} if command is verify_command else {}
    options = {named.get(name, name) for name in inspect.signature(command).parameters} - elsewhere
    assert options and options <= inspect.signature(asked).parameters.keys()


def test_the_engine_is_chosen_and_parts_are_explored() -> None:
    assert kv.explore(size=2).exploration.engine == "python"
    found = mtpo.explore(agents=2, objects=1, jobs=2)
    assert found.holds and (found.exploration.engine, found.exploration.parts) == ("numpy", 1)
    assert found.as_json()["states"] == mtpo.explore(agents=2, objects=1, engine="python").exploration.states


def test_faults_and_predicates_are_other_instances() -> None:
    plain = mtpo.explore(agents=1, objects=1)
    faults = mtpo.explore(agents=1, objects=1, faults=True)
    predicates = mtpo.explore(agents=1, objects=1, predicates=True)
    assert {"external", "abort"} <= set(faults.exploration.taken) - set(plain.exploration.taken)
    assert predicates.exploration.instance.constants["accepts"] != plain.exploration.instance.constants["accepts"]


def test_a_checkpoint_is_gone_on_from(tmp_path: Path) -> None:
    first = kv.explore(size=2, engine="numpy", limit=50, checkpoint=tmp_path, checkpoint_every=0)
    assert first.exit_code == 3
    again = kv.explore(size=2, engine="numpy", checkpoint=tmp_path, resume=True)
    assert again.holds and again.title == kv.explore(size=2).title


def test_whole_runs_walks_and_footprints() -> None:
    live = mtpo.explore(agents=2, objects=1, live=True)
    assert live.holds and [v.property for v in live.verdicts] == ["mtpo.runs-end"]
    assert "need never be taken: " in repr(live)
    walks = kv.explore(size=3, walks=5, depth=20, seed=7)
    assert walks.holds and {str(v.status) for v in walks.verdicts} <= {"SAMPLED", "CHECKED"}
    assert "5 walks, 100 steps" in walks.title and walks.as_json()["seed"] == 7
    drawn = mtpo.explore(footprints=2, jobs=1)
    assert drawn.holds and drawn.title.split("; ")[1] == "2 of 1,458 footprints, seed 0"
    with pytest.raises(ValueError, match="what is SAMPLED is shown of no instance"):
        drawn.record("nowhere.json")


def test_who_wants_to_is_told_how_far_it_is() -> None:
    told: list[str] = []
    kv.explore(size=2, engine="numpy", progress=told.append)
    assert any("states, " in line for line in told)
    kv.prove("kv.conservation", progress=told.append)
    assert any("obligations, kv.conservation / " in line for line in told)
    kv.ablate("fill.own", progress=told.append)
    assert told[-1] == "1 of 1 rules, "


def test_a_run_that_misses_its_goal_is_shown(lock: Spec) -> None:
    found = lock.explore(live=True, goal="lock.entered", may="acquire")
    assert found.exit_code == 1 and "FAILED     lock.entered" in repr(found)


def test_what_is_exercised(lock: Spec) -> None:
    found = lock.explore(Process=2, coverage=True)
    assert found.holds and "exercised  lock.acquire" in repr(found)
    shut = door(shut=True).explore(Guest=2, coverage=True)
    assert shut.exit_code == 1 and "NEVER      door.enter taken" in repr(shut) and "NEVER" in shut._repr_html_()
    assert shut.as_json()["coverage"]["status"] == "FAILED"


def test_an_expected_counterexample_is_shown_with_its_run() -> None:
    found = door().explore(Guest=2)
    assert found.exit_code == 1
    assert "FAILED     door.stays-open                      never reached" in repr(found)
    assert "step 2: enter(g=" in repr(found) and "for g = guest0, h = guest1" in repr(found)
    assert "door.alone is refuted, as it must be. At most one guest is inside." in found._repr_html_()


def test_a_run_that_refutes_is_drawn_and_written_as_the_command_does(tmp_path: Path) -> None:
    found, page, folder = door().explore(Guest=2), tmp_path / "page.html", tmp_path / "runs"
    assert found.picture(str(page)) == str(page)
    assert "door.alone is refuted, as it must be. At most one guest is inside." in page.read_text(encoding="utf-8")
    (file,) = found.itf(str(folder))
    assert file == folder / "door.alone.itf.json" and list(folder.iterdir()) == [file]
    assert len(json.loads(file.read_text(encoding="utf-8"))["states"]) == 3
    shut = door(shut=True).explore(Guest=2)
    assert shut.exit_code == 1 and shut.itf(str(tmp_path / "none")) == [] and not (tmp_path / "none").exists()
    with pytest.raises(ValueError, match=r"^door: no picture: there is no run to draw"):
        shut.picture(str(tmp_path / "none.html"))
    assert not (tmp_path / "none.html").exists()


def test_what_is_unknown_says_what_it_is_of_and_why(lock: Spec) -> None:
    said = repr(lock.explore(Process=2, limit=1))
    assert "UNKNOWN    lock.exclusion                       exhaustive   At most one process is inside. (not" in said


def test_what_is_shown_is_recorded_and_drawn(tmp_path: Path) -> None:
    ledger, folder = tmp_path / "ledger.json", tmp_path / "itf"
    kv.explore(size=2).record(str(ledger))
    kv.prove("kv.conservation", smt2=tmp_path / "smt2", remember=tmp_path / "hints.json").record(str(ledger))
    methods = {(e.property, e.method, e.status) for e in read_ledger(ledger)}
    assert {("kv.conservation", "exhaustive", "CHECKED"), ("kv.conservation", "inductive", "PROVED")} <= methods
    assert (tmp_path / "hints.json").exists() and list((tmp_path / "smt2").glob("kv.conservation-*.smt2"))
    assert kv.explore(size=2).itf(str(folder)) == [] and not folder.exists()


def test_a_violating_run_is_written_for_other_viewers(broken_lock: Spec, tmp_path: Path) -> None:
    files = broken_lock.explore(Process=2).itf(str(tmp_path))
    assert [json.loads(file.read_text(encoding="utf-8"))["states"][0]["#meta"]["index"] for file in files] == [0, 0]


def test_what_breaks_without_a_rule(tmp_path: Path) -> None:
    found = door().ablate("enter.out", traces=True, Guest=2)
    assert found.holds and "breaks     door.enter.out                       door.enters-once (2)" in repr(found)
    assert "step 2: enter(g=guest0)" in repr(found) and "guest0" in found._repr_html_()
    assert Path(found.picture(str(tmp_path / "page.html"))).exists()
    assert found.as_json()["breaks_nothing"] == []
    assert found.title == "door: 1 rule, and what breaks without it"
    assert door(shut=True).ablate(Guest=1).title == "door: 2 rules, and what breaks without each"
    published = mtpo.ablate("one-way")
    assert [row.rule.id for row in published.verdicts] == ["one-way"] and published.holds
    assert kv.ablate("fill.not-full").as_json()["rows"][0]["equivalent"] == "filling a full block again changes nothing"


def test_an_id_is_explained(lock: Spec, tmp_path: Path) -> None:
    found = kv.explain("kv.conservation")
    assert found.lines[0].startswith("kv.conservation   invariant   spec/paged_kv.py:")
    assert "PROVED" in repr(found) and found.as_json()["kind"] == "invariant"
    own = lock.explain("lock.acquire.free")
    assert "nothing recorded: `.mutate('acquire.free')` of the spec shows what it is for" in repr(own)
    assert "PROVED" not in repr(own)
    for id, asked in (
        ("lock.exclusion", ".prove('lock.exclusion')"),
        ("lock.entered", ".explore()"),
        ("lock.acquire.free~0", ".mutate('lock.acquire.free~0')"),
    ):
        assert f"nothing recorded: `{asked}` of the spec shows " in repr(lock.explain(id))
    assert kv.explain(rules=True).lines[0].startswith("kv:")
    assert explain("run.gate").as_json()["kind"] == "check of a log"
    assert explain(findings=True).lines[0].startswith("F1 ")
    with pytest.raises(ValueError, match=r"^.*no rules of 'nothing'"):
        explain("nothing", rules=True)


@pytest.mark.parametrize(
    ("id", "rules"), [("A1", False), ("fair", False), ("A1", True), ("mtpo:gate", True), (None, True)]
)
def test_rules_are_told_as_the_command_tells_them(
    id: str | None, rules: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    found = explain(id, rules=rules)
    for machine in (False, True):
        with pytest.raises(typer.Exit):
            explain_command(id, rules=rules, json=machine)
        said = capsys.readouterr().out
        assert found.as_json() == json.loads(said) if machine else repr(found) == said.rstrip("\n")
    assert found.as_json()["rules"]


def test_a_run_is_verified_by_its_log(tmp_path: Path) -> None:
    folder, log = tmp_path / "work", tmp_path / "run.log"
    folder.mkdir()
    (folder / "geo.yaml").write_text("1.0")
    session = SyncSession(lambda: Session.open(FileSystem(str(folder)), Toolbox(file_tools()), str(log)))
    first = session.launch("first")
    session.call(first, ToolCall("replace", {"path": "geo.yaml", "old": "1.0", "new": "1.1"}))
    session.finish(first)
    assert session.close() == "complete"
    found = verify(log, save=tmp_path / "saved.json", all=True, jobs=1)
    assert found.holds and any(line.startswith("holds       spec.replay") for line in found.lines)
    assert "<pre" in found._repr_html_() and (tmp_path / "saved.json").exists()
    assert verify(log, certificate=tmp_path / "saved.json").holds
    assert explain("0.0", log=log).lines[0] == "call 0.0 by first (rank 0): replace"
    with pytest.raises(ValueError, match=r"is what is read"):
        verify(log, save=log)
    with pytest.raises(ValueError, match="no such file"):
        verify(tmp_path / "none.log")


def test_an_exploration_that_holds() -> None:
    found = kv.explore(Block=2, Request=2)
    assert found.holds
    assert kv.explore(Block=2, Request=2, engine="numpy").title == found.title
    text = repr(found)
    assert text.startswith("kv: 2 Request, 2 Block; ") and "all states\n" in text
    assert "CHECKED    kv.conservation" in text
    assert "No block is lost" in found._repr_html_()
    with pytest.raises(ValueError, match=r"kv: no picture: there is no run to draw, so nowhere\.html is not"):
        found.picture("nowhere.html")


def test_a_violation_is_told_and_drawn(broken_lock: Spec, tmp_path: Path) -> None:
    found = broken_lock.explore(Process=3)
    assert not found.holds
    assert "\n  step 2: acquire(p=process1)\n" in repr(found)
    assert "\n  for p = process0, q = process1\n" in repr(found)
    page = found._repr_html_()
    assert "lock.exclusion is violated." in page and "<script" not in page
    assert Path(found.picture(str(tmp_path / "page.html"))).read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_proof_of_one_property(broken_lock: Spec, lock: Spec) -> None:
    found = lock.prove("lock.exclusion")
    assert found.holds
    assert repr(found).splitlines()[0] == "lock: 1 of 1 proved, for any number of elements"
    assert not broken_lock.prove().holds


def test_mutants(lock: Spec) -> None:
    found = lock.mutate("acquire")
    assert found.holds
    assert "killed     lock.acquire.free" in repr(found)
    assert "lock.acquire.free" in found._repr_html_()


def lined() -> Spec:
    """Guests come in order, and only one of them goes in: that they come first is a lemma's alone to tell."""
    spec = Spec("lined")
    came = spec.var("came", Guest, init=lambda g: False)
    inside = spec.var("inside", Guest, init=lambda g: False)

    @spec.action
    def come(g: Guest) -> None:
        require("new", ~came(g))
        came[g] = True

    @spec.action
    def enter(g: Guest) -> None:
        require("came", came(g))
        require("alone", forall(Guest, lambda h: ~inside(h)))
        inside[g] = True

    @spec.invariant("lined.alone")
    def alone() -> Bool:
        return forall(Guest, Guest, lambda g, h: implies(inside(g) & inside(h), g == h))

    @spec.lemma("lined.in-order")
    def in_order() -> Bool:
        return forall(Guest, lambda g: implies(inside(g), came(g)))

    return spec


def test_a_mutant_that_a_lemma_alone_catches_is_not_killed() -> None:
    spec = lined()
    found = spec.mutate("enter.")
    rows = {id: (word, remark) for word, id, remark in found.rows()}
    assert not found.holds and "lined.enter.came" in found.as_json()["survived"]
    assert rows["lined.enter.came"] == (
        "SURVIVED",
        "lined.in-order, a lemma alone: lemmas serve the proof, and tell nothing of the system",
    )
    assert rows["lined.enter.alone"] == ("killed", "lined.alone")
    survived = [word for word, _ in rows.values()].count("SURVIVED")
    killed = [word for word, _ in rows.values()].count("killed")
    assert found.title == f"lined: {len(rows)} mutants, {killed} killed, {survived} survived"
    listed = spec.mutate("enter.came", equivalent={"lined.enter.came": "who was not in line has no ticket"})
    assert listed.holds and listed.title == "lined: 1 mutant, 0 killed, 0 survived, 1 by a lemma alone"
    assert "by a lemma lined.enter.came" in repr(listed) and "a lemma alone: who was not in line" in repr(listed)


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda lock: lock.explore(Agent=2), "lock: no size 'Agent'; it has Process"),
        (lambda lock: lock.explore(size=0), "lock: size=0: a size is a number of at least 1"),
        (lambda lock: lock.explore(engine="abacus"), "lock: engine abacus: unknown; known: auto, python, compiled"),
        (lambda lock: lock.explore(faults=True), "lock: faults means nothing for it: that is of mtpo"),
        (lambda lock: lock.explore(jobs=0), "lock: jobs=0: wants a whole number of at least 1"),
        (lambda lock: lock.explore(jobs=2, engine="compiled"), "lock: jobs is not for engine compiled"),
        (lambda lock: lock.explore(symmetry=True, engine="python"), "lock: symmetry is not for engine python"),
        (lambda lock: lock.explore(seed=1), "lock: seed is for random walks: add walks or footprints"),
        (lambda lock: lock.explore(live=True), "lock: live: lock has no goal of its own; give the one that runs are"),
        (lambda lock: lock.explore(live=True, goal="lock.no"), "lock: goal lock.no: no property of states"),
        (lambda lock: lock.explore(footprints=2), "lock: footprints are those of mtpo"),
        (lambda lock: lock.explore(resume=True), "lock: resume goes on from a checkpoint"),
        (lambda lock: lock.explore(checkpoint="x", engine="python"), "lock: checkpoint is not for engine python"),
        (
            lambda lock: lock.explore(coverage=True, unreachable={"x": "y"}),
            "lock: UNREACHABLE names nothing of lock: x",
        ),
        (lambda lock: lock.prove(timeout=0), "lock: timeout=0: wants seconds, at least 0.001"),
        (lambda lock: lock.ablate("nothing"), "lock: no rule's id contains 'nothing'; known: lock.acquire.free"),
        (lambda lock: lock.explain("lock.nothing"), "unknown id 'lock.nothing'; close ones: "),
        (lambda lock: lock.explain(), "lock: explain wants an id"),
        (lambda lock: lock.explore(walks=2, Process=3).record("ledger.json"), "lock: record is for the built-in specs"),
        (
            lambda lock: lock.explore(checkpoint="x", checkpoint_every=-1),
            "lock: checkpoint_every=-1: wants seconds, at least 0",
        ),
        (lambda lock: kv.explore(size=1).record("no/folder.json"), "kv: record no/folder.json: no such folder"),
        (lambda lock: kv.mutate("fill.own").record("ledger.json"), "kv: what is recorded is of all mutants"),
        (lambda lock: lock.prove("lock.nothing"), "lock: 'lock.nothing' is nothing to prove; there are lock."),
        (lambda lock: lock.mutate("nothing"), "lock: no mutant's id contains 'nothing'"),
        (lambda lock: lock.mutate(equivalent={"x": "y"}), "lock: equivalent names no mutant: x"),
        (lambda lock: lock.ablate(3), "lock: only=3: wants a text"),
        (lambda lock: lock.mutate(None), "lock: only=None: wants a text"),
        (lambda lock: lock.explain(3), "lock: id=3: wants a text"),
        (lambda lock: explain(3), "explain: id=3: wants a text"),
        (lambda lock: lock.prove(timeout="1"), "lock: timeout='1': wants seconds"),
        (lambda lock: lock.explore(live=True, goal="lock.entered", may=3), "lock: may=3: wants texts"),
        (lambda lock: lock.mutate(equivalent=3), "lock: equivalent=3: wants reasons by id"),
        (
            lambda lock: lock.prove(timeout=float("inf")),
            "lock: timeout=inf: wants seconds, at least 0.001 and at most 86",
        ),
        (lambda lock: lock.prove(timeout=True), "lock: timeout=True: wants seconds"),
        (lambda lock: lock.prove(jobs=257), "lock: jobs=257: wants a whole number of at least 0 and at most 256"),
        (lambda lock: lock.prove(property=[3]), "lock: property=[3]: wants texts"),
        (lambda lock: lock.prove(3), "lock: properties=3: wants a text"),
        (lambda lock: lock.prove(smt2=3), "lock: smt2=3: wants a path"),
        (lambda lock: lock.explore(limit=None), "lock: limit=None: wants a whole number of at least 1"),
        (lambda lock: lock.explore(symmetry="no"), "lock: symmetry='no': wants True or False"),
        (lambda lock: lock.explore(Process=True), "lock: Process=True: wants a whole number"),
        (lambda lock: lock.explore(size="2"), "lock: size='2': wants a whole number"),
        (lambda lock: lock.explore(walks=1, seed="a"), "lock: seed='a': wants a whole number"),
        (lambda lock: lock.explore(walks=1, depth=0), "lock: depth=0: wants a whole number of at least 1"),
        (lambda lock: lock.explore(checkpoint="x", checkpoint_every=math.nan), "lock: checkpoint_every=nan: wants sec"),
        (lambda lock: lock.explore(progress=3), "lock: progress=3: wants a function"),
        (lambda lock: lock.explore(unreachable={1: "x"}), "lock: unreachable={1: 'x'}: wants reasons by id"),
        (lambda lock: lock.mutate(size=9), "lock: size=9: wants a whole number of at least 1 and at most 6"),
        (lambda lock: lock.mutate(equivalent=["x"]), "lock: equivalent=['x']: wants reasons by id"),
        (lambda lock: lock.ablate(limit=0), "lock: limit=0: wants a whole number of at least 1"),
        (lambda lock: lock.ablate(Process=True), "lock: Process=True: wants a whole number"),
        (lambda lock: verify("run.mtpo", jobs=0), "verify: jobs=0: wants a whole number of at least 1 and at most 64"),
        (lambda lock: verify("run.mtpo", jobs="a"), "verify: jobs='a': wants a whole number of at least 1"),
        (lambda lock: verify(3), "verify: log=3: wants a path"),
        (lambda lock: explain("1.4", log=3), "explain: log=3: wants a path"),
    ],
)
def test_a_question_that_does_not_fit_is_refused_in_one_line(lock: Spec, ask, told: str) -> None:
    with pytest.raises(ValueError) as caught:
        ask(lock)
    assert str(caught.value).startswith(told) and "\n" not in str(caught.value)


def test_every_option_of_each_question_is_checked() -> None:
    """None takes what is of no type at all."""
    asked = (Studied.explore, Studied.prove, Studied.mutate, Studied.ablate, Studied.explain, explain, verify)
    for question in asked:
        parameters = inspect.signature(question).parameters.values()
        given = {p.name: () if p.kind is p.VAR_POSITIONAL else p.default for p in parameters if p.name != "self"}
        given |= {"sizes": {}, "log": "run.mtpo"}
        checked("spec", question, given)
        for name in given.keys() & {p.name for p in parameters}:
            wrong: Any = {"sizes": {"Process": object()}, "properties": (object(),)}.get(name, object())
            with pytest.raises(ValueError, match=r"^spec: \w+=<object .*>: wants [a-zT]"):
                checked("spec", question, given | {name: wrong})


def test_a_file_in_the_place_of_a_folder_is_refused_in_one_line(lock: Spec, broken_lock: Spec, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("kept")
    broken = broken_lock.explore(Process=2)
    for ask in (
        lambda: lock.explore(engine="numpy", checkpoint=file),
        lambda: lock.prove("lock.exclusion", smt2=file),
        lambda: broken.picture(str(file / "page.html")),
        lambda: broken.itf(str(file)),
        lambda: kv.explore(size=2).itf(str(file)),
        lambda: explain("F29").picture(str(file / "page.html")),
    ):
        with pytest.raises(ValueError) as caught:
            ask()
        assert str(file) in str(caught.value) and "\n" not in str(caught.value)
    assert file.read_text() == "kept"


def test_a_spec_needs_no_prover_until_it_is_asked() -> None:
    code = (
        "import sys\nfrom mtpo.spec.paged_kv import kv\n"
        "assert not [m for m in sys.modules if m.startswith(('mtpo.proofs', 'z3', 'mtpo_core'))]\n"
        "sys.modules['z3'] = None\n"
        "try:\n    kv.prove()\nexcept ModuleNotFoundError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "this needs z3: pip install '.[verify]' in a clone\n"
