"""What logs exercise of the spec, together: each action taken, each conjunct of a guard true and false, each update a
change, each property of something rather than vacuously, each situation that must be possible reached.

A conjunct is looked at in every state between the steps of a run, with all calls, agents and objects that the log
names, and with the sets and tables that its records of that action have. It is decisive where it alone refuses a step.
A property is vacuous where the premise of an implication in it was never true. Of each thing --all tells in how many of
the logs it was; without it what no log exercises is listed, and a long formula ends with ...; --all and --json have the
whole. The sums come first, and are the last line again. Actions are counted in whole logs, the rest is looked at in the
first records of each (--records), since that takes the longer the more a log names.

Logs are judged first: one that violates something counts up to the first record that is wrong, and the exit code is 1.
That something is not exercised is no failure: the exit code is 0. LOG may be lines of JSON, too.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from mtpo_core.cli.common import out, plural, print_json, progress, usage, verb

if TYPE_CHECKING:
    from mtpo.proofs.replay.exercised import Exercised, Suite, SuiteLine

NEEDS_ARGUMENTS = True

_LONG: Final = 160
"""Characters of a line after which a formula ends, unless all is wanted."""


@verb
def coverage_command(
    logs: Annotated[list[Path], typer.Argument(metavar="LOG...", help="logs of runs in mode mtpo, each another run")],
    records: Annotated[
        int | None, typer.Option(min=1, help="look at clauses in so many records of each log; by default 200")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="each clause, with in how many logs it was exercised")] = False,
    json: Annotated[bool, typer.Option("--json", help="machine-readable output")] = False,
) -> None:
    """See the module's docstring."""
    from mtpo.proofs.replay.exercised import Suite
    from mtpo_core.cli.logs import one_line

    heads: dict[str, Path] = {}
    found, notes, violated = list[Any](), list[str](), list[bool]()
    for path in logs:
        with progress(f"coverage of {path}", json) as tell:
            one, total, wrong = _exercised(path, heads, records, tell)
        found.append(one)
        violated.append(bool(wrong))
        notes.append(_note(one, total, wrong))
    suite = Suite.of(found)
    code = int(any(violated))
    if json:
        data = suite.as_json()
        for log, broken in zip(data["logs"], violated, strict=True):
            log["violated"] = broken
        print_json(data)
        raise typer.Exit(code)
    sums = _sums(suite)
    for line in (*notes, sums, "", *_lines(suite, every), "", sums):
        out.print(one_line(line))
    raise typer.Exit(code)


def _exercised(
    path: Path, heads: dict[str, Path], limit: int | None, tell: Callable[[str], None]
) -> tuple[Exercised, int, str]:
    """What a log exercises, how many records it has, and what it violates; ``heads`` are those of the logs before."""
    from mtpo.proofs.replay.exercised import LOOKED, exercised
    from mtpo.proofs.replay.judge import REPLAY, judge
    from mtpo.spec.records import value_digest
    from mtpo_core.cli.logs import one_line, opened

    run = opened(path)
    if run.head in heads:
        raise usage(f"{path}: is the log {heads[run.head]} again: leave one of them out")
    heads[run.head] = path
    judged = judge(run, tell=tell)
    replay, broken = judged.replay, judged.readable.why if judged.readable else None
    if replay is None or broken or any(p.property == REPLAY for p in replay.problems):
        why = next(row.note for row in judged.certificate.properties if row.id == REPLAY)
        why = f"the records are not those of a run ({broken})" if broken else why
        if judged.report.mode not in (None, "mtpo"):
            raise usage(f"{path}: {why}: leave it out")
        typer.echo(f"mtpo: {one_line(f'{path}: not replayed: {why}; `mtpo verify {path}` tells more')}", err=True)
        raise typer.Exit(judged.exit_code)
    one = exercised(
        str(path),
        run.records[: replay.stopped],
        absent=value_digest(run.salt, None),
        limit=limit or LOOKED,
        progress=lambda done, total: tell(f"looked at {done:,} of {total:,} records"),
    )
    return one, len(run.records), judged.problems[0].property if judged.problems else ""


def _note(one: Exercised, total: int, wrong: str) -> str:
    """What is said of a log by itself."""
    said = f"{one.log}: {plural(one.steps, 'step')} in {plural(one.records, 'record')}"
    if one.looked < one.records:
        said += f", clauses looked at in the first {one.looked:,}"
    if wrong:
        before = f", counted before record {one.records:,}" if one.records < total else ""
        said += f"; violates {wrong}{before}: `mtpo verify {one.log}` tells why"
    return said


# -- the report --------------------------------------------------------------------------------------------------------


def _sums(suite: Suite) -> str:
    wanted, lacking = sum(len(line.wanted) for line in suite.lines), len(suite.missing)
    return f"{wanted - lacking} of {wanted} exercised, {lacking} in no log"


def _lines(suite: Suite, every: bool) -> list[str]:
    """A line for each action, with what it lacks below, then the properties that were vacuous; with ``every`` also the
    conjuncts that were never decisive."""
    count, lines = len(suite.logs), []
    for action in (line for line in suite.lines if line.kind == "action"):
        own = [line for line in suite.lines if line.id.startswith(f"{action.id}.")]
        lines.append(_of_action(action, own, count))
        lines += _details(own, count, every, told=not action.missing)
    rest = [line for line in suite.lines if line.kind in ("premise", "reachable")]
    lines += ["", *_details(rest, count, every, told=True)]
    idle = [line.id for line in suite.lines if line.logs.get("decisive") == 0]
    if idle and every:
        lines.append(f"never alone in refusing a step in these logs: {', '.join(idle)}")
    return lines


def _of_action(action: SuiteLine, own: list[SuiteLine], logs: int) -> str:
    guard, updates = ([line for line in own if line.kind == kind] for kind in ("guard", "update"))
    decisive = sum(bool(line.logs["decisive"]) for line in guard)
    both, change = (sum(not line.missing for line in lines) for lines in (guard, updates))
    where = f" in {action.logs['taken']} of {plural(logs, 'log')}" if action.steps else ""
    said = [f"{both} of {plural(len(guard), 'conjunct')} true and false", f"{decisive} decisive"] if guard else []
    said.append(f"{change} of {plural(len(updates), 'update')}")
    word = "NEVER" if action.missing else "exercised"
    return f"{word:<10} {action.id:<36} {plural(action.steps, 'step')}{where}, {', '.join(said)}"


def _details(lines: list[SuiteLine], logs: int, every: bool, told: bool) -> list[str]:
    """What was never exercised of these if that is ``told``, or with ``every`` each, with the number of logs."""
    found = []
    for line in lines:
        if every:
            values = ", ".join(f"{value} in {number}" for value, number in line.logs.items())
            found.append(f"{line.id}: {values} of {plural(logs, 'log')}: {line.what}")
        elif told:
            found += [_never(line, value) for value in line.missing]
    found = [f"  {line}" if lines[0].kind in ("guard", "update") else line for line in found]
    return found if every else [_shortened(line) for line in found]


def _shortened(line: str) -> str:
    """A line that is no longer than :data:`_LONG`, ended between two words."""
    return line if len(line) <= _LONG else f"{line[: _LONG - 3].rpartition(' ')[0]} ..."


def _never(line: SuiteLine, value: str) -> str:
    if line.kind == "premise":
        return f"{'vacuous':<10} {line.id}, never true: {line.what}"
    return f"{'NEVER':<10} {line.id} {value}: {line.what}"
