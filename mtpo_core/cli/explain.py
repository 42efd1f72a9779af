"""Explain an id that an error, a log's verdict or a page cites: its English, its formula, its evidence, its mutants.

ID is a property (mtpo.one-way), an action (mtpo.call) or a guard clause (mtpo.call.gate) of a built-in spec, a mutant
of one as `mtpo mutate` names it (mtpo.commit.lower-committed~0), a spec (fair), which is as with --rules, a check of a
log (run.gate), a reason for which a run halts (core.inverse-restores), a check of a tool (tool.reads), a finding (F29),
a rule of a paper or of `mtpo ablate` (mtpo:gate, closure), or what is assumed of agents (A1). With --rules it is a spec
(fair), a rule or left out: what the papers say, the clauses that carry it, what none carries, and for each action and
property the rules that it is for. --picture draws the traces of a finding, what mends it and the evidence for that, as
a page in one file; --findings lists them all, and with --pictures draws them all. With --spec it is a property, an
action or a guard clause that a Python file of yours declares. With --log it is a call of a run (1.4): what it went
through, who was told, and which clauses allowed each step; what is damaged in the log, or was altered, is named on
standard error, with exit code 1.

A long formula is laid out over lines, an operand each; --json has it on one. Of a finding --json has the traces that
--picture draws: runs of a spec in ITF, runs of the core as the lines of their logs, charts as their rows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from mtpo_core.cli.common import out, print_json, usage, verb
from mtpo_core.cli.explained import explained, others, rule_data, rule_lines
from mtpo_core.cli.specs import BUILT_IN, find_specs

NEEDS_ARGUMENTS = True

_ASSUMED = re.compile("A[123]")
"""What the papers assume of agents and tools, by number."""


@verb
def explain_command(
    id: Annotated[
        str | None, typer.Argument(help="for example mtpo.one-way, mtpo.call.gate, run.gate, F29, closure")
    ] = None,
    rules: Annotated[bool, typer.Option("--rules", help="the papers' rules and the clauses that carry them")] = False,
    spec: Annotated[str | None, typer.Option(help="the spec that has ID, such as FILE.py")] = None,
    log: Annotated[Path | None, typer.Option(help="the log of a run, of which ID is a call")] = None,
    findings: Annotated[bool, typer.Option("--findings", help="list the findings")] = False,
    picture: Annotated[Path | None, typer.Option(help="draw the traces of finding ID, as a page in one file")] = None,
    pictures: Annotated[Path | None, typer.Option(help="with --findings: draw each, into this folder")] = None,
    json: Annotated[bool, typer.Option("--json", help="machine-readable output")] = False,
) -> None:
    """See the module's docstring."""
    others = {"ID": id, "--rules": rules, "--spec": spec, "--log": log}
    if id is not None and not id.strip():
        raise usage("an empty ID: explain wants one such as mtpo.one-way or F29, or --rules or --findings alone")
    if findings or picture is not None or pictures is not None:
        _findings(others, findings, picture, pictures, json)
        raise typer.Exit(0)
    if spec is not None and (log is not None or rules):
        raise usage(f"--spec is for an id alone, not with {'--log' if log is not None else '--rules'}")
    if log is not None:
        raise typer.Exit(1 if _story(log, id or "", json) else 0)
    if rules:
        _rules(id or "", json)
        raise typer.Exit(0)
    if id is None:
        raise usage("explain wants an id, such as mtpo.one-way, or --rules")
    if spec is not None:
        _of_spec(id, spec, json)
        raise typer.Exit(0)
    if is_of_rules(id):
        _rules(id, json)
        raise typer.Exit(0)
    if id.endswith(".py"):
        raise usage(f"{id} is a file: `mtpo explain ID --spec {id}` explains what it declares")
    _built_in(id, json)


def _findings(others: dict[str, Any], every: bool, picture: Path | None, pictures: Path | None, json: bool) -> None:
    """Draw one finding, or list all; ``others`` are the other arguments, of which only the id may go with a picture."""
    from mtpo_core.cli.explained_findings import draw_finding, list_findings

    if pictures is not None and not every:
        raise usage("--pictures is for all findings: give --findings --pictures FOLDER, or ID --picture PAGE.html")
    if every and picture is not None:
        raise usage("--picture is for one finding; --findings --pictures FOLDER draws all")
    which = "--findings" if every else "--picture"
    wrong = [name for name, given in others.items() if given not in (None, False) and (every or name != "ID")]
    if wrong:
        raise usage(f"{which} is not for {wrong[0]}{f' {others[wrong[0]]}' if wrong[0] == 'ID' else ''}")
    if picture is None:
        list_findings(pictures, json)
    elif others["ID"] is None:
        raise usage("--picture wants a finding, such as `mtpo explain F29 --picture f29.html`")
    else:
        draw_finding(others["ID"], picture, json)


def _built_in(id: str, json: bool) -> None:
    from mtpo_core.cli.explained_findings import told_as_data

    specs = find_specs(None)
    if other := explained(id, specs):
        if json and other.data["kind"] == "finding":
            told_as_data(other.data["id"])
        elif json:
            print_json(other.data)
        else:
            out.print("\n".join(other.lines))
        return
    from mtpo.proofs.evidence import NoSuchClause, explain  # needs an extra, what is explained above does not

    try:
        found = explain(id, specs, others=others())
    except NoSuchClause as error:
        head, dot, _ = id.partition(".")
        if not dot or head in {*BUILT_IN, *(other.partition(".")[0] for other in others())}:
            raise
        raise usage(f"{error}; what a file of yours declares: --spec FILE.py") from None
    _tell(found, json)


def _of_spec(id: str, name: str, json: bool) -> None:
    """Of a user's file nothing is recorded: the ledger is of the built-in specs, whatever a spec there is called."""
    from mtpo.proofs.evidence import NoSuchClause, explain

    specs, own = find_specs(name), name not in BUILT_IN
    try:
        found = explain(id, specs, [] if own else None)
    except NoSuchClause:
        raise usage(f"{name} declares no {id!r}; it has {', '.join(_ids(id, specs))}") from None
    _tell(found, json, _unrecorded(found.kind, id, name) if own else "")


def _ids(id: str, specs: Sequence[Any], most: int = 12) -> list[str]:
    """Those that may be meant, or else the first few that specs have."""
    from mtpo.proofs.evidence import nearest
    from mtpo.spec.rules import clauses_of

    known = [part for one in specs for part in clauses_of(one) if not part.endswith(":=")]
    return nearest(id, known) or [*known[:most], *(["..."] if len(known) > most else [])]


def _unrecorded(kind: str, id: str, name: str) -> str:
    """What shows something of a user's spec."""
    if kind == "assumption":
        return "taken, not shown: it is an assumption"
    if kind == "mutant":
        return f"nothing recorded: `mtpo mutate {name} --only {id}` shows who catches it"
    if kind in ("action", "guard clause"):
        return f"nothing recorded: `mtpo mutate {name}` shows what it is for"
    explored = {"reachable": f"explore {name}", "goal of whole runs": f"explore {name} --live"}
    shows = "tells whether it is so" if kind == "ending" else "shows it"
    return f"nothing recorded: `mtpo {explored.get(kind, f'prove {name} -p {id}')}` {shows}"


def _tell(found: Any, json: bool, unrecorded: str = "") -> None:
    from mtpo.proofs.pictures.layout import laid_out
    from mtpo.spec.rules import carried
    from mtpo_core.cli.explained_evidence import brief, evidence_lines

    carries = () if unrecorded or found.kind == "mutant" else carried(found.id)
    if json:
        print_json(found.as_json() | {"rules": [rule.id for rule in carries]})
        return
    out.print(f"{found.id}   {found.kind}   {_short(found.at)}")
    if found.english:
        out.print(f"  {found.english}")
    out.print("\n".join(f"    {line}" for line in laid_out(found.formula).splitlines()))
    for rule in carries:
        out.print(f"  for {rule.id} ({rule.source}): {rule.says}")
    for line in evidence_lines(found.evidence):
        out.print(line)
    if unrecorded:
        out.print(f"  {unrecorded}")
        return
    if found.kind == "mutant":
        out.print(f"  {found.mutants[0][2]}")
        return
    if found.mutants:
        catches = "  mutants that it catches (`mtpo explain ID` shows one in full):"
        altered = any("~" in mutant for mutant, _, _ in found.mutants)
        without = f"  without it{', or with a part of it altered (`mtpo explain ID~N` says which)' if altered else ''}:"
        out.print(without if found.kind in ("guard clause", "action") else catches)
    for mutant, what, fate in found.mutants:
        out.print(f"    {mutant:<38} {brief(what) if fate == 'caught by this' else fate}")


def _story(path: Path, call: str, json: bool) -> int:
    """Tell it; how much in the log is damaged."""
    from mtpo.proofs.replay.story import story
    from mtpo_core.cli.logs import one_line, opened, tell_damaged

    run = opened(path)
    found = story(run, call)
    if json:
        print_json(found.as_json())
    else:
        for line in found.lines():
            out.print(one_line(line), markup=False)
    return tell_damaged(run)


def is_of_rules(id: str) -> bool:
    """Whether an id is told of by rules: it is a spec, or what is assumed of agents by its number."""
    return id in BUILT_IN or _ASSUMED.fullmatch(id) is not None


def rules_of(wanted: str) -> tuple[list[Any], dict[str, list[str]]]:
    """The rules of a spec, of what is assumed, or all; of a spec also each action and property with its rules."""
    from mtpo.spec.rules import RULES, carried

    named_so = [rule for rule in RULES if _ASSUMED.fullmatch(wanted) and wanted in re.split(r"\W+", rule.source)]
    shown = named_so or [rule for rule in RULES if wanted in ("", rule.id, rule.id.partition(":")[0])]
    if not shown:
        raise usage(f"no rules of {wanted!r}; give {', '.join(BUILT_IN)}, or a rule such as {RULES[0].id}")
    named = {rule.id.partition(":")[0] for rule in shown} if ":" not in wanted and not named_so else set()
    back: dict[str, list[str]] = {}
    for spec in find_specs(None):
        ids = [*(f"{spec.name}.{name}" for name in spec.actions), *spec.claims]
        if spec.name in named:
            back |= {id: [rule.id for rule in carried(id)] for id in ids}
    return shown, back


def rules_data(shown: Sequence[Any], back: dict[str, list[str]]) -> dict[str, Any]:
    """Rules as ``--json`` has them."""
    return {"rules": [rule_data(rule) for rule in shown], "clauses": back}


def _rules(wanted: str, json: bool) -> None:
    shown, back = rules_of(wanted)
    if json:
        print_json(rules_data(shown, back))
        return
    for line in rules_text(shown, back):
        out.print(line)


def rules_text(shown: Sequence[Any], back: dict[str, list[str]]) -> list[str]:
    """Rules as they are printed."""
    lines = [line for rule in shown for line in rule_lines(rule)]
    if back:
        lines += ["", "and back: each action and property, and the rules that it is for"]
    return lines + [f"{id:<38} {', '.join(rules)}" for id, rules in back.items()]


def _short(at: str) -> str:
    """The place in the source, from the folder of the specs on."""
    parts = at.replace("\\", "/").split("/")
    start = max((n for n, part in enumerate(parts) if part == "spec"), default=len(parts) - 2)
    return "/".join(parts[start:])
