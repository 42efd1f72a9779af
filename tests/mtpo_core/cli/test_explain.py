"""The verbs ``explain`` and ``certificate``."""

from __future__ import annotations

import ast
import builtins
import functools
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

import mtpo.proofs.evidence as evidence
import mtpo.proofs.refinement.refined as refined
from mtpo.proofs.evidence import Evidence
from mtpo.proofs.findings import findings
from mtpo.proofs.findings.beside import RESERVED_BEFORE_FILLED
from mtpo.proofs.findings.catalogue import TRACES
from mtpo.proofs.ledger import read_ledger, stale
from mtpo.proofs.pictures.layout import laid_out
from mtpo.proofs.refinement.planted import BUGS, FAULTY, NoGate
from mtpo.spec.mtpo import mtpo as mtpo_spec
from mtpo_core.cli.explained import explained
from mtpo_core.cli.explained_evidence import brief, evidence_lines
from mtpo_core.cli.specs import BUILT_IN, find_specs
from mtpo_core.problems import MEANINGS

Mtpo = Callable[..., Any]


def test_an_id_is_explained(mtpo: Mtpo) -> None:
    said = mtpo("explain", "mtpo.call.gate")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("mtpo.call.gate   guard clause   spec/mtpo/")
    assert "caught by mtpo." in said.out
    said = mtpo("explain", "mtpo.one-way", "--json")
    assert said.json["kind"] == "step"
    assert {e["status"] for e in said.json["evidence"]} == {"PROVED", "CHECKED"}
    said = mtpo("explain", "mtpo.zzz")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("mtpo: unknown id 'mtpo.zzz'; close ones: mtpo.")


def test_the_rules_of_the_papers_and_their_clauses(mtpo: Mtpo) -> None:
    said = mtpo("explain", "--rules", "concur")
    assert (said.code, said.err) == (0, "")
    assert "concur:law                   W grows by alpha if U < U_low" in said.out
    assert "  carried by     concur.grow, concur.cut, concur.hold," in said.out
    assert "concur.first-come-first-served         concur:resume, concur:liveness" in said.out.splitlines()
    said = mtpo("explain", "--rules", "mtpo:individual-success")
    assert "  by no clause   Assumed of the agents" in said.out
    assert "and back" not in said.out
    said = mtpo("explain", "--rules", "--json")
    assert {rule["id"].partition(":")[0] for rule in said.json["rules"]} == set(BUILT_IN)
    assert said.json["clauses"]["mtpo.gate"] == ["mtpo:gate"]
    assert all(said.json["clauses"].values())
    assert "  for mtpo:gate (SCCP 3, non-invertible; ours, F3)" in mtpo("explain", "mtpo.call.gate").out
    for wrong in (["--rules", "raft"], ["--json"]):
        said = mtpo("explain", *wrong)
        assert (said.code, said.out) == (2, "")
        assert said.err.count("\n") == 1


def test_the_certificate_of_the_installed_sources(mtpo: Mtpo, monkeypatch: pytest.MonkeyPatch) -> None:
    said = mtpo("certificate")
    assert (said.code, said.err) == (0, "")
    first, *_, last = said.out.splitlines()
    assert first == last and first.startswith("yes: ")
    assert first.endswith(" properties have evidence, 0 pieces of it are for other sources than those installed")
    monkeypatch.setattr(evidence, "stale", lambda entries: [e for e in entries if e.property == "kv.conservation"])
    said = mtpo("certificate")
    assert said.code == 1
    assert "CHANGED SINCE" in said.out
    assert said.out.splitlines()[0].startswith("NO: ")
    assert said.out.splitlines()[0].endswith(": kv.conservation (exhaustive), kv.conservation (inductive)")
    said = mtpo("certificate", "--json")
    assert said.code == 1
    assert [c.split()[0] for c in said.json["changed"]] == ["kv.conservation"] * 2


def test_the_story_of_a_call_of_a_run(mtpo: Mtpo, logs: Path) -> None:
    said = mtpo("explain", "0.0", "--log", logs / "run.mtpo")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("call 0.0 by ")
    assert "allowed by mtpo." in said.out
    assert mtpo("explain", "0.0", "--log", logs / "run.mtpo", "--json").json["call"] == "0.0"
    said = mtpo("explain", "99.0", "--log", logs / "run.mtpo")
    assert (said.code, said.out) == (2, "")
    assert "no call '99.0' in this log; its calls: " in said.err


def test_a_check_of_logs_is_explained(mtpo: Mtpo) -> None:
    said = mtpo("explain", "run.gate")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[1] == "  A call without an inverse runs after every lower rank has committed."
    assert mtpo("explain", "log.chain", "--json").json["kind"] == "check of a log"


def test_what_a_file_of_ones_own_declares_is_explained(mtpo: Mtpo, lock_path: Path) -> None:
    said = mtpo("explain", "lock.exclusion", "--spec", lock_path)
    assert (said.code, said.err) == (0, "")
    first, *rest = said.out.splitlines()
    assert first.startswith("lock.exclusion   invariant   spec/lock.py:")
    assert rest == [
        "  At most one process is inside.",
        "    forall p: Process, q: Process. (holds(p) & holds(q)) -> (p = q)",
        f"  nothing recorded: `mtpo prove {lock_path} -p lock.exclusion` shows it",
    ]
    clause = mtpo("explain", "lock.acquire.free", "--spec", lock_path).out
    assert clause.endswith(f"  nothing recorded: `mtpo mutate {lock_path}` shows what it is for\n")
    assert mtpo("explain", "lock.entered", "--spec", lock_path).out.endswith(f"`mtpo explore {lock_path}` shows it\n")
    assert mtpo("explain", "lock.exclusion", "--spec", lock_path, "--json").json["evidence"] == []
    assert mtpo("explain", "mtpo.one-way", "--spec", "mtpo").out == mtpo("explain", "mtpo.one-way").out


def test_a_spec_of_ones_own_named_as_a_built_in_one_gets_none_of_its_evidence(
    mtpo: Mtpo, lock_path: Path, tmp_path: Path
) -> None:
    path = tmp_path / "mine.py"
    text = lock_path.read_text().replace('"lock', '"mtpo').replace("mtpo.exclusion", "mtpo.one-way")
    path.write_text(text)
    said = mtpo("explain", "mtpo.one-way", "--spec", path, "--json").json
    assert (said["english"], said["evidence"], said["rules"]) == ("At most one process is inside.", [], [])


def test_how_to_explain_an_id_of_ones_own_is_said(mtpo: Mtpo, lock_path: Path) -> None:
    for command, what in (
        ([lock_path], f"{lock_path} is a file: `mtpo explain ID --spec {lock_path}` explains what it declares"),
        (["ticket.x"], "unknown id 'ticket.x'; "),
        (["lock.x", "--spec", lock_path], f"{lock_path} declares no 'lock.x'; it has lock."),
        (["lock.exclusion", "--spec", lock_path, "--rules"], "--spec is for an id alone, not with --rules"),
        (["lock.exclusion", "--spec", "no.py"], "no.py: no such file"),
    ):
        said = mtpo("explain", *command)
        assert (said.code, said.out, said.err.count("\n")) == (2, "", 1) and said.err.startswith(f"mtpo: {what}")
    assert mtpo("explain", "ticket.x").err.endswith("; what a file of yours declares: --spec FILE.py\n")


def test_a_finding_is_explained_by_its_number(mtpo: Mtpo) -> None:
    text = (Path(evidence.__file__).parent / "FINDINGS.md").read_text()
    numbers = [line.partition(".")[0].removeprefix("## ") for line in text.splitlines() if line.startswith("## F")]
    for id in numbers:
        said = mtpo("explain", id, "--json").json
        assert (said["id"], said["kind"]) == (id, "finding")
        assert f"## {id}. {said['title']}\n\n{said['text']}\n" in text and "\n## " not in said["text"]
    said = mtpo("explain", "f29")
    assert said.out.startswith("F29   finding   proofs/FINDINGS.md\n  Nobody waits for a successor")
    said = mtpo("explain", "F99")
    assert (said.code, said.err) == (2, "mtpo: unknown id 'F99'; close ones: F9, F29, F19\n")


def test_a_finding_is_drawn_on_a_page(mtpo: Mtpo, tmp_path: Path) -> None:
    page = tmp_path / "f18.html"
    said = mtpo("explain", "f18", "--picture", page)
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("F18   finding   ") and said.out.endswith(f"\npicture: {page}\n")
    text = page.read_text(encoding="utf-8")
    assert (
        "<title>F18. A bounce must hand over what has not arrived</title>" in text and "delivery.gets-through" in text
    )
    said = mtpo("explain", "F18", "--picture", page, "--json").json
    assert said["picture"] == str(page) and [trace["kind"] for trace in said["traces"]] == ["mutant"]
    assert [row["id"] for row in said["names"]] == ["delivery.bounce.arrived:=", "delivery.gets-through"]
    assert all(row["evidence"] for row in said["names"])
    assert mtpo("explain", "F18").out.endswith("\ndrawn by `mtpo explain F18 --picture f18.html`\n")


def test_all_findings_are_listed(mtpo: Mtpo) -> None:
    every = findings()
    said = mtpo("explain", "--findings")
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert [line.split()[0] for line in lines] == list(every) and all(
        f"{one.title}  (" in said.out for one in every.values()
    )
    assert lines[6] == "F7   A step may reserve blocks before it fills them  (scripted run)"
    found = mtpo("explain", "--findings", "--json").json
    assert [one["id"] for one in found["findings"]] == list(every) and found["pictures"] is None
    assert all(one["traces"] and one["title"] == every[one["id"]].title for one in found["findings"])


def test_all_findings_are_drawn_into_a_folder(mtpo: Mtpo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = {id: findings()[id] for id in ("F7", "F34")}
    monkeypatch.setattr("mtpo.proofs.findings.findings", lambda: few)
    folder = tmp_path / "new" / "pages"
    said = mtpo("explain", "--findings", "--pictures", folder)
    assert (said.code, said.err) == (0, "") and said.out.endswith(f"\npictures: {folder / 'index.html'}\n")
    assert sorted(path.name for path in folder.iterdir()) == ["f34.html", "f7.html", "index.html"]
    for one in few.values():
        assert f"<title>{one.id}. {one.title}</title>" in (folder / f"{one.id.lower()}.html").read_text(
            encoding="utf-8"
        )
        assert f'href="{one.id.lower()}.html">{one.id}<' in (folder / "index.html").read_text(encoding="utf-8")
    assert mtpo("explain", "--findings", "--pictures", folder, "--json").json["pictures"] == str(folder)


def test_nothing_is_written_when_a_trace_does_not_show_what_it_says(
    mtpo: Mtpo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = attrs.evolve(RESERVED_BEFORE_FILLED, steps=(("fill", 0, 0),))
    monkeypatch.setattr("mtpo.proofs.findings.page.TRACES", {"F7": {"wrong": wrong}})
    monkeypatch.setattr("mtpo.proofs.findings.findings", lambda: {"F7": findings()["F7"]})
    for command in (["F7", "--picture", tmp_path / "f7.html"], ["--findings", "--pictures", tmp_path / "new"]):
        said = mtpo("explain", *command)
        assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
        assert said.err.startswith("mtpo: step 1, ('fill', 0, 0): refused by kv.fill.")
    assert list(tmp_path.iterdir()) == []


def test_what_can_not_be_drawn_is_said_in_one_line(mtpo: Mtpo, tmp_path: Path, logs: Path) -> None:
    (file := tmp_path / "file").write_text("text")
    (tmp_path / "taken" / "f7.html").mkdir(parents=True)
    (log := tmp_path / "run.mtpo").write_bytes((logs / "run.mtpo").read_bytes())
    last = list(findings())[-1]
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for command, why in (
        (
            ["F99", "--picture", "p.html"],
            f"--picture draws a finding, F1 to {last}, and F99 is none; `mtpo mutate SPEC",
        ),
        (["mtpo.gate", "--picture", "p.html"], f"--picture draws a finding, F1 to {last}, and mtpo.gate is none; "),
        (["F1", "--picture", tmp_path], f"{tmp_path}: is a folder"),
        (["F1", "--picture", tmp_path / "no" / "p.html"], f"{tmp_path}/no/p.html: its folder does not exist"),
        (["F1", "--picture", log], f"{log}: is a run log or another database; it is not overwritten"),
        (["--picture", "p.html"], "--picture wants a finding, such as `mtpo explain F29"),
        (["F1", "--pictures", tmp_path], "--pictures is for all findings: give --findings --pictures FOLDER"),
        (["--findings", "--picture", "p.html"], "--picture is for one finding; --findings --pictures FOLDER draws all"),
        (["--findings", "F1"], "--findings is not for ID F1"),
        (["--findings", "--rules"], "--findings is not for --rules"),
        (["F1", "--picture", "p.html", "--log", log], "--picture is not for --log"),
        (["F1", "--picture", "p.html", "--spec", "mtpo"], "--picture is not for --spec"),
        (["--findings", "--pictures", file], f"{file}: is a file; --pictures wants a folder"),
        (["--findings", "--pictures", file / "new"], f"{file}: is a file; --pictures wants a folder"),
        (["--findings", "--pictures", tmp_path / "taken"], f"{tmp_path}/taken/f7.html: is a folder"),
        (["--findings", "--pictures", tmp_path / "dangling"], f"{tmp_path}/dangling: is a link to a place that is not"),
        (["--findings", "--pictures", "/proc/pages/all"], "/proc: nothing can be written there ("),
    ):
        said = mtpo("explain", *command)
        assert (said.code, said.out, said.err.count("\n")) == (2, "", 1), command
        assert said.err.startswith(f"mtpo: {why}"), said.err
    assert {path.name for path in tmp_path.iterdir()} == {"file", "run.mtpo", "taken", "dangling"}
    assert file.read_text() == "text"


def test_a_rule_is_explained_by_its_id_or_its_name_alone(mtpo: Mtpo) -> None:
    said = mtpo("explain", "mtpo:gate")
    assert said.out == mtpo("explain", "--rules", "mtpo:gate").out and said.code == 0
    said = mtpo("explain", "closure")
    assert said.out.startswith("mtpo:closure    ") and "  carried by     mtpo.call.closed, " in said.out
    assert "`mtpo ablate --only closure --traces`" in said.out
    assert mtpo("explain", "gate").out.endswith("parts of specs of that name: mtpo.call.gate, mtpo.gate\n")
    assert [rule["id"] for rule in mtpo("explain", "law", "--json").json["rules"]] == ["concur:law"]
    assert mtpo("explain", "mtpo:closur").err.startswith("mtpo: unknown id 'mtpo:closur'; close ones: mtpo:closure, ")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["explain", "-1.0"], "mtpo: explain: No such option: -1; `mtpo explain --help` tells more\n"),
        (["verify", "a", "b"], "mtpo: verify: Got unexpected extra argument(s) (b); `mtpo verify --help` tells more\n"),
        (["frob"], "mtpo: No such command 'frob'; `mtpo --help` tells more\n"),
    ],
)
def test_a_command_line_that_is_none_is_refused_in_one_line(mtpo: Mtpo, command: list[str], said: str) -> None:
    found = mtpo(*command)
    assert (found.code, found.out, found.err) == (2, "", said)
    assert mtpo("mutate", "--size", "9").err.count("\n") == 1


def test_a_verb_without_its_arguments_shows_its_help(mtpo: Mtpo) -> None:
    found = mtpo("explain")
    assert found.code == 2 and "explain [OPTIONS] [id]" in found.out + found.err and "--rules" in found.out + found.err


def test_the_name_of_a_spec_alone_is_as_with_rules(mtpo: Mtpo) -> None:
    said = mtpo("explain", "names")
    assert (said.code, said.err) == (0, "") and "\nand back: " in said.out
    assert said.out == mtpo("explain", "--rules", "names").out
    assert mtpo("explain", "names", "--json").json == mtpo("explain", "--rules", "names", "--json").json


def test_a_mutant_is_explained_by_its_id(mtpo: Mtpo, lock_path: Path) -> None:
    said = mtpo("explain", "mtpo.commit.lower-committed~0")
    assert (said.code, said.err) == (0, "")
    first, rule, what, fate = said.out.splitlines()
    assert first.startswith("mtpo.commit.lower-committed~0   mutant   spec/mtpo/")
    assert rule == "  mtpo.commit.lower-committed, altered from within."
    assert what.startswith("    guard: ") and fate.startswith("  caught by mtpo.")
    same = "mtpo.deliver.notified~0"
    assert mtpo("explain", same).out.splitlines()[-1].startswith("  equivalent: nobody is told of the origin")
    own = mtpo("explain", "lock.acquire.free~0", "--spec", lock_path)
    told = f"  nothing recorded: `mtpo mutate {lock_path} --only lock.acquire.free~0` shows who catches it"
    assert (own.code, own.out.splitlines()[-1]) == (0, told)


ROOT = Path(evidence.__file__).parents[1]

OF_OTHERS = {
    "core.fsmonitor": "a setting of git",
    "core.minimize": "a setting of z3",
    "mtpo.note": "a variable of the spec",
    "mtpo.undoer": "a variable of the spec",
    "mtpo.proofs": "a package",
    "mtpo.proofs.induction.second": "a module",
    "mtpo.spec": "a package",
    "mtpo.strictly-upwards": "the first version of a property, which is false (F9)",
    "mtpo.{}": "a package",
    "run.html": "a file",
    "run.mtpo": "a file",
}
"""What is spelt as an id is, and is none."""

COMPOSED = {
    "mtpo.{}.author-at-work": ("read", "call", "finish", "retract"),
    "mtpo.{}.its-turn": ("undone", "applied", "failed", "redone", "stranded"),
    "mtpo.{}.footprint": ("applied", "redone"),
    "mtpo.{}.ascending": ("redone", "stranded"),
    "mtpo.{}.closed": ("call", "retract"),
    "core.refines.{}": mtpo_spec.variables,
}
"""Ids that are put together, and what may stand in the gap."""

AN_ID = re.compile(r"(core|tool|log|run|certificate|spec|mtpo|kv)(\.([a-z][a-z-]*|\{\})){1,2}")
CITED = re.compile(r"(?<![.\w])(?:core|tool|log|run|certificate|kv)\.[a-z-]+(?=[]:])")
CARRIERS = {"Problem", "Divergence", "RunHalted", "MachineError", "MonitorViolation", "Check", "halt", "report"}


def texts(node: ast.AST) -> Iterator[str]:
    """The strings in a program, docstrings left out; of one with gaps its text around them."""
    for field in ast.iter_child_nodes(node):
        if isinstance(field, ast.JoinedStr):
            yield "".join(str(p.value) if isinstance(p, ast.Constant) else "{}" for p in field.values)
        elif isinstance(field, ast.Constant) and isinstance(field.value, str) and not isinstance(node, ast.Expr):
            yield field.value
        if not isinstance(field, ast.JoinedStr):
            yield from texts(field)


def carried(tree: ast.AST) -> Iterator[str]:
    """The strings that are written out as the id of a problem."""
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        first = call.args[0]
        if name in CARRIERS and isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield first.value


def test_every_id_that_a_problem_may_carry_is_explained() -> None:
    """Whatever is spelt as one in the core, the proofs and the engine is; a new one needs its English."""
    specs, found = find_specs(None), dict[str, str]()
    for path in (p for folder in ("mtpo_core", "proofs", "engine") for p in (ROOT / folder).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        spelt = list(texts(tree))
        ids = {*(t for t in spelt if AN_ID.fullmatch(t)), *carried(tree)}
        ids |= {cited for text in spelt for cited in CITED.findall(text)}
        found |= dict.fromkeys(ids - OF_OTHERS.keys(), path.name)
    assert {"core.performed", "log.written", "tool.blind", "run.halted", "spec.replay", *COMPOSED} <= found.keys()
    for id, file in found.items():
        for whole in (id.format(part) for part in COMPOSED[id]) if "{}" in id else (id,):
            assert explained(whole, specs) or evidence.explain(whole, specs, []), (whole, file)
    composed = {id.format(part) for id, parts in COMPOSED.items() for part in parts}
    assert set(MEANINGS) <= {*found, *composed, "core.refines"}, "an English that no problem needs"


def test_the_id_of_a_problem_comes_with_what_to_do(mtpo: Mtpo) -> None:
    said = mtpo("explain", "core.inverse-restores")
    assert (said.code, said.err) == (0, "")
    first, english, do = said.out.splitlines()
    assert first == "core.inverse-restores   reason to halt a run"
    assert english == f"  {MEANINGS['core.inverse-restores'].english}"
    assert do.startswith("  where it does not hold: Mend the tool's `prepare` or `reverse` (`check_tool`")
    said = mtpo("explain", "core.refines.note", "--json").json
    assert (said["id"], said["kind"]) == ("core.refines.note", "check of the core against the spec")
    assert said["english"].startswith("Every event of the core is steps of the spec") and said["do"]
    said = mtpo("explain", "core.refines")
    assert "\n  CHECKED  every interleaving, event by event beside the spec, of 6 instances; " in said.out
    said = mtpo("explain", "core.inverse-restored")
    assert said.code == 2 and "close ones: core.inverse-restores" in said.err


SMALL = refined.Size(2, 1, 1)


def test_the_core_is_driven_beside_the_spec_and_what_holds_is_recorded(
    mtpo: Mtpo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refined, "refine", functools.partial(refined.refine, [SMALL]))
    path = tmp_path / "ledger.json"
    said = mtpo("certificate", "--refine", "--record", path)
    assert (said.code, said.err) == (0, "")
    size, bugs = said.out.splitlines()
    assert size.startswith("CHECKED  core.refines   30 plans, 2,570 states, ")
    assert size.endswith(" 486 ends (2 agents, 1 call each, 1 object)")
    assert bugs.split(maxsplit=2)[2] == f"{len(BUGS) + len(FAULTY)} of {len(BUGS) + len(FAULTY)} planted bugs caught"
    (entry,) = read_ledger(path)
    assert (entry.property, entry.method, entry.status) == ("core.refines", "refinement", "CHECKED")
    assert entry.detail["explored"][0]["states"] == 2570 and not stale([entry])
    found = mtpo("certificate", "--refine", "--json").json
    assert {key: found[key] for key in entry.detail} == entry.detail and found["status"] == "CHECKED"


def test_a_core_that_leaves_the_spec_is_shown_and_nothing_is_recorded(
    mtpo: Mtpo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = functools.partial(refined.refine, [refined.Size(2, 1, 1)], NoGate)
    monkeypatch.setattr(refined, "refine", wrong)
    path = tmp_path / "ledger.json"
    said = mtpo("certificate", "--refine", "--record", path)
    assert (said.code, said.err, path.exists()) == (1, "", False)
    first, *events = said.out.splitlines()
    assert first.startswith("FAILED   mtpo.call.gate: ") and first.endswith(", after")
    assert events[0] == "  0: Launch()" and "Call(agent=1" in events[-1]
    assert mtpo("certificate", "--refine", "--json").json["status"] == "FAILED"
    monkeypatch.setattr(refined, "refine", lambda tell: refined.Refined((), {"NoGate": "mtpo.call.gate"}, ("Sound",)))
    said = mtpo("certificate", "--refine", "--record", path)
    assert (said.code, path.exists()) == (1, False)
    assert said.out == "FAILED   core.refines   1 of 2 planted bugs caught; nothing catches Sound\n"


def test_an_outcome_that_can_not_be_recorded_is_refused_before_the_work(mtpo: Mtpo, tmp_path: Path) -> None:
    for args, why in (
        (("--record", tmp_path / "l.json"), "--record writes what --refine comes to: give both"),
        (("--refine", "--record", tmp_path / "none" / "l.json"), "no such folder"),
    ):
        said = mtpo("certificate", *args)
        assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
        assert why in said.err


def test_a_long_formula_is_laid_out_and_what_instances_have_in_common_is_said_once(mtpo: Mtpo) -> None:
    said, data = mtpo("explain", "mtpo.live-materialized"), mtpo("explain", "mtpo.live-materialized", "--json").json
    lines = said.out.splitlines()
    formula = [line for line in lines if line.startswith("    ")][: len(laid_out(data["formula"]).splitlines())]
    assert len(formula) > 4 and re.sub(r"\s", "", "".join(formula)) == re.sub(r"\s", "", data["formula"])
    assert max(map(len, formula)) <= 104
    (explored,) = [one["instances"] for one in data["evidence"] if one["method"] == "exhaustive"]
    assert f"every state and step of {len(explored)} instances" in said.out
    scopes = [line for line in lines if line.startswith(" " * 11 + "symmetry ")]
    assert len(scopes) == len(set(scopes)) < len(explored) and all(line.endswith(":") for line in scopes)
    below = [line.split("  ") for line in lines if line.startswith(" " * 13)]
    assert sum(" states to depth " in row[-1] for row in below) == len(explored)
    assert "mutants that it catches (`mtpo explain ID` shows one in full):" in said.out


def test_instances_are_told_by_what_they_have_in_common() -> None:
    instances = (
        "1,204 states to depth 7, symmetry off (2 Agent, 3 Call; with aborts)",
        "8 states to depth 2, symmetry off (1 Agent, 2 Call)",
        "9 states to depth 3, symmetry off (12 Agent, 3 Call; with aborts)",
    )
    told = Evidence("exhaustive", "CHECKED", f"every state and step of {'; '.join(instances)}", False, instances)
    assert list(evidence_lines([told])) == [
        "  CHECKED  every state and step of 3 instances   (the sources have changed since)",
        "           symmetry off, with aborts:",
        "             2 Agent, 3 Call   1,204 states to depth 7",
        "             12 Agent, 3 Call  9 states to depth 3",
        "           symmetry off:",
        "             1 Agent, 2 Call  8 states to depth 2",
    ]
    alone = attrs.evolve(told, sentence=f"every state and step of {instances[1]}", fresh=True, instances=instances[1:2])
    assert list(evidence_lines([alone])) == [f"  CHECKED  every state and step of {instances[1]}"]
    other = attrs.evolve(alone, sentence="all of 3 plans; 4 plans", instances=("3 plans", "4 plans"))
    assert list(evidence_lines([other])) == [
        "  CHECKED  all of 2 instances",
        " " * 11 + "3 plans",
        " " * 11 + "4 plans",
    ]


def test_of_a_mutant_among_many_the_change_alone_is_told() -> None:
    assert brief("update: without a, in top[x0] := a & b") == "update: without a, in top[x0]"
    assert brief("guard: a & b") == "guard: a & b"
    assert len(brief(f"guard: {'a & ' * 100}b")) == 100


def test_a_finding_as_json_has_the_traces_that_its_picture_draws(mtpo: Mtpo, tmp_path: Path) -> None:
    """Runs of a spec with every state, by the names of the text; runs of the core as a log that is read as one."""
    data = mtpo("explain", "f29", "--json").json
    assert data["kind"] == "finding" and [row["id"] for row in data["names"]][:1] == ["mtpo.moved-from-below"]
    locked, mended = data["traces"]
    assert [locked["name"], mended["name"]] == list(TRACES["F29"]) and locked["says"].startswith("a2's repair")
    assert locked["seen"] == [{"after": 12, "text": "refused: deliver(a=a1), by mtpo.deliver.settled"}]
    assert (locked["breaks"], locked["stays"]) == (["mtpo.no-wait-for-successors"], 1)
    assert (mended["breaks"], mended["stays"], mended["weakened"]) == ([], 0, None)
    assert [len(one["itf"]["states"]) for one in (locked, mended)] == [13, 18]
    assert locked["itf"]["states"][12]["mbt::nondetPicks"] == {"o": {"tag": "Some", "value": "x"}}
    drawn = mtpo("explain", "F29", "--picture", str(tmp_path / "f29.html"), "--json").json
    assert drawn["traces"] == data["traces"]
    told = {one["name"]: one for one in mtpo("explain", "F2", "--json").json["traces"]}
    assert told["not told"]["breaks"] == ["mtpo.redo-told"] and told["not told"]["weakened"].startswith("update")
    log = tmp_path / "f2.jsonl"
    log.write_text("".join(f"{line}\n" for line in told["told"]["log"]), "utf-8")
    assert mtpo("verify", str(log)).code == 0
    (chart,) = [one["chart"] for one in mtpo("explain", "F34", "--json").json["traces"]]
    assert chart["rows"] and chart["axis"] and all({"name", "bars", "ticks"} <= set(row) for row in chart["rows"])


def test_without_the_extra_a_finding_as_json_has_no_traces(mtpo: Mtpo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mtpo.proofs.findings.written", None)

    def lacks(name: str, *rest: Any, **more: Any) -> Any:
        if name == "mtpo.proofs.findings.catalogue":
            raise ModuleNotFoundError("No module named 'z3'", name="z3")
        return plain(name, *rest, **more)

    plain = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", lacks)
    said = mtpo("explain", "F29", "--json")
    assert said.code == 0 and json.loads(said.out)["traces"] is None
    assert said.err == "the finding alone, without its traces: these need z3: pip install '.[verify]' in a clone\n"


@pytest.mark.parametrize("more", [[], ["--picture", "x.html"], ["--rules"], ["--json"], ["--log", "x.log"]])
@pytest.mark.parametrize("id", ["", "  "])
def test_an_empty_id_is_refused_in_one_line(mtpo: Mtpo, id: str, more: list[str]) -> None:
    said = mtpo("explain", id, *more)
    assert (said.code, said.out) == (2, "")
    assert (
        said.err.startswith("mtpo: an empty ID: explain wants one such as mtpo.one-way") and said.err.count("\n") == 1
    )


@pytest.mark.parametrize(
    "command", [["prove", ""], ["mutate", " "], ["ablate", ""], ["explain", "mtpo.gate", "--spec", ""]]
)
def test_an_empty_name_of_a_spec_is_refused_in_one_line(mtpo: Mtpo, command: list[str]) -> None:
    said = mtpo(*command)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("mtpo: an empty name of a spec; known: mtpo, kv, ") and said.err.count("\n") == 1
