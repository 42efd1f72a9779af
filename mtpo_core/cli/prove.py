"""Prove a spec's properties inductive with z3, for any number of agents, objects and calls.

SPEC is a built-in spec, a Python file that declares one, or left out for all built-in ones. Every invariant is shown to
hold initially and to be preserved by every action; every step property to hold of every action; every variant to
decrease, and runs to end where the variants that are shown bound every action; else those not bounded are named. A
property that fails is shown with a state that satisfies all properties and the step that breaks it (--picture draws
it). The invariants are hypotheses of each other, lemmas among them; when one fails, the others are tried again without
it. Assumptions that contradict each other, actions that can never be taken, and properties that ask nothing of any
action fail: nothing is proven of nothing.

z3 runs in child processes with hard limits, one a core. Ctrl-C ends with what was shown up to there (exit code 3). What
was hard to find is remembered, and is tried first next time; every proof is made anew all the same.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from mtpo_core.cli.common import counted, drawn, out, plural, print_json, progress, usage, verb, writable, written
from mtpo_core.cli.specs import SPEC_HELP, check_ledger, find_specs

NOTHING = "no invariant, step property or variant to prove"


@verb
def prove_command(
    spec: Annotated[str | None, typer.Argument(help=f"{SPEC_HELP}; default: all built-in specs")] = None,
    property: Annotated[list[str] | None, typer.Option("--property", "-p", help="only this id (repeatable)")] = None,
    timeout: Annotated[float, typer.Option(min=0.001, max=86_400, help="seconds per solver question")] = 10.0,
    jobs: Annotated[int | None, typer.Option(min=0, max=256, help="child processes; 0: none, no hard limits")] = None,
    remember: Annotated[Path | None, typer.Option(help="keep in this file which hypotheses sufficed")] = None,
    cvc5: Annotated[bool, typer.Option("--cvc5", help="have cvc5 confirm everything that z3 proves")] = False,
    smt2: Annotated[
        Path | None, typer.Option(help="keep every obligation as an SMT-LIB file (unsat: proven) in this folder")
    ] = None,
    itf: Annotated[
        Path | None, typer.Option(help="write each violating run to this folder, in ITF (Apalache, Quint)")
    ] = None,
    picture: Annotated[Path | None, typer.Option(help="draw each violating step, as a page in one file")] = None,
    record: Annotated[Path | None, typer.Option(help="write what holds into this ledger (built-in specs only)")] = None,
    json: Annotated[bool, typer.Option("--json", help="machine-readable output")] = False,
) -> None:
    """See the module's docstring."""
    from mtpo.proofs.children import Interrupted
    from mtpo.proofs.induction.inductive import prove, solver_name
    from mtpo.proofs.induction.remembered import check_place, memory
    from mtpo.proofs.induction.second import SecondSolver, cvc5_name
    from mtpo.proofs.induction.surviving import proven, split
    from mtpo.proofs.ledger import entries_of
    from mtpo.proofs.ledger import record as write
    from mtpo.proofs.pictures.itf import write_itf
    from mtpo.proofs.pictures.picture import write_picture
    from mtpo.proofs.pictures.shown import pictures_of
    from mtpo.proofs.verdicts import exit_code

    specs = find_specs(spec)
    check_ledger(record, spec)
    if remember is not None:
        check_place(remember)
    _check_provable(property or (), specs, spec)
    found: list[Any] = []
    beside: list[Any] = []
    interrupted = False
    hints = memory()
    english: dict[str, str] = {}
    for one in specs:
        english |= {p.id: p.doc for p in one.claims.values()}
        second = SecondSolver(timeout) if cvc5 else None
        wanted = frozenset(property or one.claims)
        with progress(f"proving {one.name}", json) as tell, second or contextlib.nullcontext():
            how: dict[str, Any] = {"timeout_ms": int(timeout * 1000), "confirm": second, "hints": hints, "jobs": jobs}
            how["progress"] = counted(tell, "obligations")

            def asked(
                what: Any, ids: frozenset[str], folder: Path | None = smt2, how: dict[str, Any] = how
            ) -> list[Any]:
                return prove(what, properties=ids, keep_smt2=_keeper(folder), **how)

            try:
                of_these = proven(one, wanted, asked, functools.partial(asked, folder=smt2 and smt2 / "without"))
            except Interrupted as stop:
                of_these, interrupted = split(one, stop.found, wanted), True
        found += of_these[0]
        beside += of_these[1]
        if interrupted:
            break
    hints.keep()
    if remember is not None:
        hints.keep(remember)
    if not found:
        raise usage(f"{', '.join(s.name for s in specs)}: {NOTHING}")
    cases = pictures_of(found, english)
    page = writable(picture) if picture is not None else None
    files = write_itf(found, itf) if itf is not None else []
    if page is not None:
        write_picture(cases, page, f"{spec or 'all specs'}: what is not inductive")
    if record is not None:
        write(record, entries_of([v for v in found if v.status == "PROVED"], english))
    if json:
        print_json({"specs": [s.name for s in specs], "verdicts": [v.as_json() for v in found]})
    else:
        for line in (line for v in found for line in _lines(v, english.get(v.property, ""))):
            out.print(line)
        if itf is not None:
            out.print(written(files, itf))
        if page is not None:
            out.print(drawn(cases, page))
        told = {v.property for v in found}
        lemmas = sum(p.role == "lemma" and p.id in told for s in specs for p in s.properties.values())
        out.print(f"\n{_count(found, lemmas)}")
        if beside:
            out.print(_rests_on(beside))
        assumed = sorted({a for v in found for a in v.assumptions})
        solvers = solver_name()
        if cvc5:
            confirmed, total = (sum(v.detail.get(key, 0) for v in found) for key in ("confirmed", "obligations"))
            solvers += f"; {cvc5_name()} confirms {confirmed} of {total} obligations"
        out.print(f"{solvers}; assumptions: {', '.join(assumed) or 'none'}")
    raise typer.Exit(exit_code(found))


def _check_provable(ids: Sequence[str], specs: Sequence[Any], name: str | None) -> None:
    """That each id is of something that is proven; what is taken as given, or shown by runs, is not."""
    roles = {id: getattr(p, "role", "") for one in specs for id, p in one.claims.items()}
    provable = sorted(id for id, role in roles.items() if role not in ("assumption", "reachable"))
    for id in ids:
        if id not in roles:
            known = f"known: {', '.join(provable)}" if provable else NOTHING
            raise usage(f"unknown property {id!r}; {known}")
        if roles[id] == "assumption":
            raise usage(f"{id} is not for proof: it is an assumption, taken as given")
        if roles[id] == "reachable":
            of = name or id.partition(".")[0]
            raise usage(f"{id} is not for proof: it is of some run, and `mtpo explore {of}` shows it")


def _lines(v: Any, english: str) -> Iterator[str]:
    """A verdict: its row, what is false or open, and the step that shows it. A conjunct is told once."""
    from mtpo.proofs.pictures.picture import reasons_of

    obligations = v.detail.get("obligations")
    count = v.method if obligations is None else f"{obligations:>4} obligation{'' if obligations == 1 else 's'}"
    count = "nothing shown" if obligations == 0 else count
    yield f"{v.status:<8} {v.property:<36} {count:<16}  {english}".rstrip()
    if v.clause:
        yield f"         {'false' if v.status == 'FAILED' else 'not decided'}: {v.clause}"
    if "without" in v.detail:
        is_not = "is" if len(v.detail["without"]) == 1 else "are"
        yield f"         proven without {', '.join(v.detail['without'])}, which {is_not} not shown"
    if "why" in v.detail:
        yield f"         {v.detail['why']}"
    if v.trace:
        told = [line for reason in reasons_of(v.trace, v.property) for line in reason.lines()]
        told = [line for line in told if not f"false: {v.clause}".startswith(f"{line}, at ")]
        yield from (f"         {line}" for line in (*v.trace.lines(), *told))


def _count(found: list[Any], lemmas: int) -> str:
    """How many are proved; ``lemmas`` of them are there for the induction alone."""
    proved = sum(v.status == "PROVED" for v in found)
    beside = f" ({plural(lemmas, 'lemma')} among them, which the induction needs)" if lemmas else ""
    return f"{proved} of {len(found)} proved for any number of elements{beside}"


def _rests_on(beside: list[Any]) -> str:
    """The invariants, lemmas among them, that were shown with the properties that were asked for."""
    proved, total = sum(v.status == "PROVED" for v in beside), sum(v.detail["obligations"] for v in beside)
    rest = f"{plural(len(beside), 'further invariant')} ({plural(total, 'obligation')})"
    return f"the induction rests on {rest}: {proved} proved"


def _keeper(folder: Path | None) -> Any:
    if folder is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    return lambda name, text: (folder / f"{name}.smt2").write_text(text, encoding="utf-8")
