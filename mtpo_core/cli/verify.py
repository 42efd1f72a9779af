"""Judge a run by its log alone: the chain of records, an independent checker, and a replay against the spec.

Names every property that is violated, and where. With --certificate the log is held against a run certificate saved
before, which detects a cut tail. Exit code 0 holds, 1 violated, 3 incomplete (the run did not come to its end).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mtpo_core.cli.common import out, print_json, verb, writable

NEEDS_ARGUMENTS = True


@verb
def verify_command(
    log: Annotated[Path, typer.Argument(help="the log of a run")],
    certificate: Annotated[Path | None, typer.Option(help="a certificate saved before, to compare with")] = None,
    save: Annotated[Path | None, typer.Option(help="write the run certificate here")] = None,
    json: Annotated[bool, typer.Option("--json", help="machine-readable output")] = False,
) -> None:
    """See the module's docstring."""
    import attrs

    from mtpo.proofs.certificate import RunCertificate, compare
    from mtpo.proofs.judge import judge
    from mtpo_core.cli.logs import opened

    run = opened(log)
    expected = RunCertificate.load(certificate) if certificate else None
    found = judge(run)
    differs = compare(run, expected) if expected else []
    if save is not None:
        found.certificate.save(writable(save))
    code = 1 if differs else found.exit_code
    if json:
        data = found.certificate.as_json() | {
            "violated": [attrs.asdict(p) for p in (*found.problems, *differs)],
            "checks": found.report.as_json()["checks"],
            "replayed_steps": found.replay.steps if found.replay else None,
        }
        print_json(data)
        raise typer.Exit(code)
    for row in found.certificate.properties:
        out.print(f"{row.verdict:<11} {row.id:<30} {row.english}", markup=False)
    for problem in (*found.problems, *differs):
        out.print(f"violated    {problem}", markup=False)
    for problem in found.report.unfinished:
        out.print(f"incomplete  {problem}", markup=False)
    used = (f"{name} {dict(counts)}" for name, counts in found.certificate.assumptions.items())
    out.print(f"\nassumptions: {'; '.join(used)}", markup=False)
    out.print(found.certificate.verdict, markup=False)
    raise typer.Exit(code)
