"""Explain an id that an error, a log's verdict or a page cites: its English, its formula, its evidence, its mutants.

ID is a property (mtpo.one-way), an action (mtpo.call) or a guard clause (mtpo.call.gate) of a built-in spec.
"""

from __future__ import annotations

from typing import Annotated

import typer

from mtpo_core.cli.common import out, print_json, verb
from mtpo_core.cli.specs import find_specs

NEEDS_ARGUMENTS = True


@verb
def explain_command(
    id: Annotated[str, typer.Argument(help="for example mtpo.one-way, mtpo.call, mtpo.call.gate")],
    json: Annotated[bool, typer.Option("--json", help="machine-readable output")] = False,
) -> None:
    """See the module's docstring."""
    from mtpo.proofs.evidence import explain

    found = explain(id, find_specs(None))
    if json:
        print_json(found.as_json())
        raise typer.Exit(0)
    out.print(f"{found.id}   {found.kind}   {_short(found.at)}")
    if found.english:
        out.print(f"  {found.english}")
    out.print("\n".join(f"    {line}" for line in found.formula.splitlines()))
    for e in found.evidence:
        out.print(f"  {e.status:<8} {e.sentence}{'' if e.fresh else '   (the sources have changed since)'}")
    if found.mutants:
        out.print("  without it:" if found.kind in ("guard clause", "action") else "  mutants that it catches:")
    for mutant, what, fate in found.mutants:
        out.print(f"    {mutant:<38} {what if fate == 'caught by this' else fate}")


def _short(at: str) -> str:
    """The place in the source, from the package on."""
    return "/".join(at.replace("\\", "/").split("/")[-2:])
