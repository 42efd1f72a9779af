"""Show what is proven and checked for the installed sources, property by property.

Exit code 1 when a source has changed since it was shown, or a property has no evidence: then nothing that this
installation claims may be relied on until `mtpo prove --record` and the other verbs have shown it again. (The
certificate of a run is made by `mtpo verify LOG --save FILE`.)
"""

from __future__ import annotations

from typing import Annotated

import typer

from mtpo_core.cli.common import out, plural, print_json, verb
from mtpo_core.cli.specs import find_specs


@verb
def certificate_command(
    json: Annotated[bool, typer.Option("--json", help="machine-readable output")] = False,
) -> None:
    """See the module's docstring."""
    from mtpo.proofs.evidence import standing

    found = standing(find_specs(None))
    if json:
        print_json(found.as_json())
        raise typer.Exit(0 if found.holds else 1)
    for id, evidence in found.rows:
        out.print(id)
        for e in evidence:
            out.print(f"  {e.status:<8} {e.sentence}{'' if e.fresh else '   CHANGED SINCE'}")
        if not evidence:
            out.print("  NOT SHOWN")
    shown = f"{len(found.rows) - len(found.missing)} of {len(found.rows)} properties have evidence"
    are = "is" if len(found.changed) == 1 else "are"
    out.print(f"\n{shown}, {plural(len(found.changed), 'piece')} of it {are} for other sources than those installed")
    raise typer.Exit(0 if found.holds else 1)
