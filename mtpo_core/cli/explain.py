"""Explain an id that an error, a log's verdict or a page cites: its English, its formula, its evidence, its mutants.

ID is a property (mtpo.one-way), an action (mtpo.call) or a guard clause (mtpo.call.gate) of a built-in spec, a check of
a log (run.gate), a reason for which a run halts (core.inverse-restores), a check of a tool (tool.reads), a finding
(F29), or a rule of a paper or of `mtpo ablate` (mtpo:gate, closure). With --rules it is a spec (fair), a rule or left
out: what the papers say, the clauses that carry it, what none carries, and for each action and property the rules that
it is for. With --log it is a call of a run (1.4): what it went through, who was told, and which clauses allowed each
step; what is damaged in the log, or was altered, is named on standard error, with exit code 1.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mtpo_core.cli.common import out, print_json, usage, verb
from mtpo_core.cli.explained import explained, others, rule_data, rule_lines
from mtpo_core.cli.specs import BUILT_IN, find_specs

NEEDS_ARGUMENTS = True


@verb
def explain_command(
    id: Annotated[
        str | None, typer.Argument(help="for example mtpo.one-way, mtpo.call.gate, run.gate, F29, closure")
    ] = None,
    rules: Annotated[bool, typer.Option("--rules", help="the papers' rules and the clauses that carry them")] = False,
    log: Annotated[Path | None, typer.Option(help="the log of a run, of which ID is a call")] = None,
    json: Annotated[bool, typer.Option("--json", help="machine-readable output")] = False,
) -> None:
    """See the module's docstring."""
    if log is not None:
        raise typer.Exit(1 if _story(log, id or "", json) else 0)
    if rules:
        _rules(id or "", json)
        raise typer.Exit(0)
    if id is None:
        raise usage("explain wants an id, such as mtpo.one-way, or --rules")
    from mtpo.proofs.evidence import explain
    from mtpo.spec.rules import carried

    if id in BUILT_IN:
        raise usage(f"{id} is a spec: `mtpo explain --rules {id}` lists its actions and properties")
    specs = find_specs(None)
    if other := explained(id, specs):
        if json:
            print_json(other.data)
        else:
            out.print("\n".join(other.lines))
        raise typer.Exit(0)
    found = explain(id, specs, others=others())
    carries = carried(id)
    if json:
        print_json(found.as_json() | {"rules": [rule.id for rule in carries]})
        raise typer.Exit(0)
    out.print(f"{found.id}   {found.kind}   {_short(found.at)}")
    if found.english:
        out.print(f"  {found.english}")
    out.print("\n".join(f"    {line}" for line in found.formula.splitlines()))
    for rule in carries:
        out.print(f"  for {rule.id} ({rule.source}): {rule.says}")
    for e in found.evidence:
        out.print(f"  {e.status:<8} {e.sentence}{'' if e.fresh else '   (the sources have changed since)'}")
    if found.mutants:
        out.print("  without it:" if found.kind in ("guard clause", "action") else "  mutants that it catches:")
    for mutant, what, fate in found.mutants:
        out.print(f"    {mutant:<38} {what if fate == 'caught by this' else fate}")


def _story(path: Path, call: str, json: bool) -> int:
    """Tell it; how much in the log is damaged."""
    from mtpo.proofs.story import story
    from mtpo_core.cli.logs import one_line, opened, tell_damaged

    run = opened(path)
    found = story(run, call)
    if json:
        print_json(found.as_json())
    else:
        for line in found.lines():
            out.print(one_line(line), markup=False)
    return tell_damaged(run)


def _rules(wanted: str, json: bool) -> None:
    from mtpo.spec.rules import RULES, carried

    shown = [rule for rule in RULES if wanted in ("", rule.id, rule.id.partition(":")[0])]
    if not shown:
        raise usage(f"no rules of {wanted!r}; give {', '.join(BUILT_IN)}, or a rule such as {RULES[0].id}")
    named = {rule.id.partition(":")[0] for rule in shown} if ":" not in wanted else set()
    back: dict[str, list[str]] = {}
    for spec in find_specs(None):
        ids = [*(f"{spec.name}.{name}" for name in spec.actions), *spec.properties, *spec.variants]
        if spec.name in named:
            back |= {id: [rule.id for rule in carried(id)] for id in ids}
    if json:
        print_json({"rules": [rule_data(rule) for rule in shown], "clauses": back})
        return
    for rule in shown:
        out.print("\n".join(rule_lines(rule)))
    if back:
        out.print("\nand back: each action and property, and the rules that it is for")
    for id, rules in back.items():
        out.print(f"{id:<38} {', '.join(rules)}")


def _short(at: str) -> str:
    """The place in the source, from the folder of the specs on."""
    parts = at.replace("\\", "/").split("/")
    start = max((n for n, part in enumerate(parts) if part == "spec"), default=len(parts) - 2)
    return "/".join(parts[start:])
