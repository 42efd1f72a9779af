"""Print the log of a run: a line for each record, or with --json the records and values as lines of JSON, which every
verb that takes a log reads as well. --kind and --agent leave the other records out; of lines of JSON then also the
header, as a part of a log is none, and the values that no record left names.

What is damaged in the log, or was altered, is named on standard error, and all that can be read is printed; exit code
1 then.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mtpo_core.cli.common import out, usage, verb
from mtpo_core.cli.logs import one_line
from mtpo_core.logfile import LoggedRun

NEEDS_ARGUMENTS = True


@verb
def log_command(
    path: Annotated[Path, typer.Argument(help="the log of a run")],
    kind: Annotated[list[str] | None, typer.Option(help="only records of this kind (repeatable)")] = None,
    agent: Annotated[int | None, typer.Option(help="only records of the agent of this rank")] = None,
    json: Annotated[bool, typer.Option("--json", help="JSON lines: a header, the records, the values")] = False,
) -> None:
    """See the module's docstring."""
    from mtpo.spec.records import KINDS, Record
    from mtpo_core.cli.logs import opened, tell_damaged
    from mtpo_core.loglines import export_jsonl, part_jsonl

    for name in kind or ():
        if name not in KINDS:
            raise usage(f"unknown kind {name!r}; known: {', '.join(KINDS)}")
    run = opened(path)
    if agent is not None:
        _check_agent(run, path, agent)

    def wanted(r: Record) -> bool:
        return (not kind or r.kind in kind) and (agent is None or r.agent == agent)

    if json:
        whole = not kind and agent is None
        for line in export_jsonl(run) if whole else part_jsonl(run, wanted):
            typer.echo(line)
    else:
        for r in filter(wanted, run.records):
            who = "" if r.agent is None else f"agent {r.agent}"
            line = f"{r.seq:>5}  {r.t:>9.3f} s  {who:<9} {r.call or '':<6} {r.kind:<10} {_summary(r.body)}"
            out.print(one_line(line), markup=False)
    if tell_damaged(run):
        raise typer.Exit(1)


def _check_agent(run: LoggedRun, path: Path, agent: int) -> None:
    """That somebody of that rank is in the log."""
    names = {r.agent: "" for r in run.records if r.agent is not None}
    names |= {r.agent: f" ({r.body.get('name')})" for r in run.records if r.kind == "launch" and r.agent is not None}
    if agent not in names:
        known = ", ".join(f"{rank}{names[rank]}" for rank in sorted(names)) or "none"
        raise usage(one_line(f"{path}: no agent {agent}; known: {known}"))


def _summary(body: object) -> str:
    """The parts of a body that a person reads; digests are shortened."""
    if not isinstance(body, dict):
        return ""
    parts = []
    for name, value in body.items():
        if isinstance(value, dict):
            text = " ".join(sorted(value)) if len(value) <= 6 else f"{len(value)} objects"
        elif isinstance(value, str) and len(value) == 64:
            text = value[:8]
        elif isinstance(value, list):
            text = ",".join(str(v if not isinstance(v, dict) else v.get("object", v.get("call"))) for v in value) or "-"
        else:
            text = str(value)
        parts.append(f"{name}={text}")
    return "  ".join(parts)
