"""Explore every reachable state of a small instance of a spec and check all properties there.

For mtpo the instance has AGENTS agents with CALLS calls each on OBJECTS objects: every footprint, with and without
inverses, both policies; with --faults agents also abort and retract, and somebody outside changes objects. For other
specs every sort has SIZE elements and every choice of constants is tried (for fair, whose constants are times, a few of
them). Whole states are compared, not fingerprints. A property that fails is shown with a shortest run; something that
must be reachable and is never reached is a failure too.

--engine says what runs it. python takes each state by itself: for small instances. numpy goes on in columns: a program
on arrays is made from the spec in a second and takes many thousand states at once, a million a second. torch runs the
same program with PyTorch, cupy with CuPy: for a GPU. compiled makes machine code, which takes a minute for mtpo and is
kept for the next time: for specs with very many choices of arguments. All but python need about 30 bytes a state, and
take --symmetry: one state for all that differ only by a renaming of elements of unordered sorts. Beyond a million
states use numpy.

--checkpoint DIR saves now and then, at the end of a level, what was found so far, in a folder of the spec's name; the
same command with --resume goes on from there, with any engine but python, and with a higher --limit too.

--picture draws a shortest run to each violation: who took which step, what each state holds, and for which elements the
property is false. --coverage tells what was exercised: each action taken, each conjunct of a guard true and false, each
update a change; what never was is a failure, unless the spec's file lists it: UNREACHABLE = {"SPEC.ACTION.CLAUSE
false": "because ..."}.

--live looks at whole runs instead: every one comes to its goal and keeps it, as long as steps are taken that can be. A
run that may end without, or goes on for ever, though no action is passed over that stays enabled, is shown. The goal of
mtpo is that every agent commits; for other specs name a property, --goal. --may ACTION: nobody need ever take it.

--walks N takes random walks instead, in instances too large to explore (--size up to 20): every property is looked at
in every state and step that they come through. What holds there is SAMPLED: not shown, but so many walks, steps and
states did not violate it. A violating walk is shown, shortened. --seed and --depth say which walks, and how long.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from mtpo_core.cli.common import (
    drawn,
    err,
    frontier,
    out,
    plural,
    print_json,
    progress,
    usage,
    verb,
    worst,
    writable,
)
from mtpo_core.cli.covered import measure, show_coverage
from mtpo_core.cli.lively import live_runs
from mtpo_core.cli.sized import Sizes, extent_line
from mtpo_core.cli.specs import SPEC_HELP, check_finite, check_ledger, find_source
from mtpo_core.cli.walked import random_walks


@verb
def explore_command(
    spec: Annotated[str, typer.Argument(help=SPEC_HELP)] = "mtpo",
    agents: Annotated[int | None, typer.Option(min=1, max=4, help="agents (mtpo only)  [default: 2]")] = None,
    calls: Annotated[
        int | None, typer.Option(min=1, max=4, help="calls of each agent (mtpo only)  [default: 1]")
    ] = None,
    objects: Annotated[int | None, typer.Option(min=1, max=3, help="objects (mtpo only)  [default: 2]")] = None,
    faults: Annotated[
        bool, typer.Option("--faults", help="also aborts, retractions and changes from outside (mtpo only)")
    ] = False,
    predicates: Annotated[
        bool, typer.Option("--predicates", help="every premise carries a predicate (mtpo only)")
    ] = False,
    size: Annotated[
        list[str] | None,
        typer.Option(
            help="elements of each sort, or SORT=N (repeatable; not for mtpo)  [default: 2; fair: 3; recovery: Call=3]",
            metavar="N",
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, help="stop at this many states, but finish the level under way (python: the state)")
    ] = 5_000_000,
    engine: Annotated[
        str | None,
        typer.Option(help="python, compiled, numpy, torch or cupy  [default: python]", metavar="ENGINE"),
    ] = None,
    compiled: Annotated[bool, typer.Option("--compiled", help="the same as --engine compiled")] = False,
    symmetry: Annotated[
        bool, typer.Option("--symmetry", help="one state for all its renamings (compiled, unless --engine says other)")
    ] = False,
    checkpoint: Annotated[
        Path | None, typer.Option(help="save what was found so far under this folder", metavar="DIR")
    ] = None,
    every: Annotated[
        float, typer.Option("--checkpoint-every", min=0.0, help="seconds between two savings, at least")
    ] = 10.0,
    resume: Annotated[bool, typer.Option("--resume", help="go on from what --checkpoint holds")] = False,
    itf: Annotated[
        Path | None, typer.Option(help="write each violating run to this folder, in ITF (Apalache, Quint)")
    ] = None,
    picture: Annotated[Path | None, typer.Option(help="draw each violating run, as a page in one file")] = None,
    coverage: Annotated[
        bool, typer.Option("--coverage", help="which actions, guard conjuncts and updates were exercised")
    ] = False,
    live: Annotated[bool, typer.Option("--live", help="whole runs: each comes to its goal and keeps it")] = False,
    goal: Annotated[
        str | None,
        typer.Option(help="the goal of --live, a property of states  [default for mtpo: mtpo.runs-end]", metavar="ID"),
    ] = None,
    may: Annotated[
        list[str] | None,
        typer.Option(help="with --live: an action that need not be taken (repeatable)", metavar="ACTION"),
    ] = None,
    walks: Annotated[
        int | None, typer.Option(min=1, help="random walks, for instances too large to explore", metavar="N")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="of --walks  [default: 0]")] = None,
    depth: Annotated[int | None, typer.Option(min=1, help="steps of a walk, at most  [default: 100]")] = None,
    record: Annotated[Path | None, typer.Option(help="write what holds into this ledger")] = None,
    json: Annotated[bool, typer.Option("--json", help="machine-readable output")] = False,
) -> None:
    """See the module's docstring."""
    from mtpo.proofs.evidence import extent
    from mtpo.proofs.explore import explore
    from mtpo.proofs.itf import write_itf
    from mtpo.proofs.ledger import entries_of
    from mtpo.proofs.ledger import record as write
    from mtpo.proofs.picture import pictures_of, reasons_of, write_picture
    from mtpo.proofs.verdicts import EXIT_CODES, Status, exit_code

    check_ledger(record, spec)
    chosen = _engine(engine, compiled, symmetry)
    if resume and checkpoint is None:
        raise usage("--resume goes on from a checkpoint: give its folder, --checkpoint DIR")
    if checkpoint is not None and chosen == "python":
        raise usage("--checkpoint is not for --engine python: choose numpy, torch, cupy or compiled")
    if coverage and chosen != "python":
        raise usage("--coverage looks at every state with the python engine: leave out --engine and --symmetry")
    if chosen not in ("python", "compiled"):
        from mtpo.proofs.arrays import arrays_of

        if note := arrays_of(chosen).note:
            err.print(note)
    sizes = Sizes(agents, calls, objects, faults, predicates, size)
    sizes.check(spec)
    for one, option, given in (
        ("--live", "--goal", goal),
        ("--live", "--may", may),
        ("--walks", "--seed", seed),
        ("--walks", "--depth", depth),
    ):
        if given not in (None, []) and not (live if one == "--live" else walks):
            raise usage(f"{option} is for {'whole runs' if one == '--live' else 'random walks'}: add {one}")
    if live and (chosen != "python" or coverage or walks):
        raise usage(
            "--live keeps every step, with the python engine: leave out --engine, --symmetry, --coverage and --walks"
        )
    if walks and (chosen != "python" or coverage or record is not None):
        raise usage("--walks shows nothing of all states: leave out --engine, --symmetry, --coverage and --record")
    found: list[Any] = []
    source = find_source(spec)
    check_finite(source, spec)
    covered: list[Any] = []
    if walks:
        drawn_from = [sizes.drawn(one) for one in source.specs]
        raise typer.Exit(random_walks(drawn_from, walks, seed or 0, depth, itf, picture, json))
    made = [(one, *sizes.instance(one)) for one in source.specs]
    if live:
        raise typer.Exit(live_runs(made, goal, may or [], limit, record, itf, picture, json))
    for one, instance, initial in made:
        if not one.role("invariant", "lemma", "step", "reachable"):
            raise usage(f"{one.name}: no invariant, step property or reachable formula to check")
        saved = None if checkpoint is None else _checkpoint(checkpoint / one.name, resume, every)
        with _saying_what_is_saved(saved), progress(f"exploring {one.name}", json) as tell:
            result = explore(
                instance,
                initial,
                limit=limit,
                engine=chosen,
                symmetry=symmetry,
                checkpoint=saved,
                progress=frontier(tell),
            )
        found.append(result)
        if coverage:
            with progress(f"coverage of {one.name}", json) as tell:
                covered.append(measure(instance, initial, limit, source.unreachable, frontier(tell)))
        if record is not None:
            english = {p.id: p.doc for p in one.properties.values()}
            write(record, entries_of([v for v in result.verdicts if v.status is Status.CHECKED], english))
    verdicts = [v for result in found for v in result.verdicts]
    if itf is not None:
        write_itf(verdicts, itf)
    cases = pictures_of(verdicts)
    if picture is not None:
        write_picture(cases, writable(picture), f"{spec}: what is violated")
    code = worst(exit_code(verdicts), *(EXIT_CODES.get(c.status, 0) for c in covered))
    if json:
        data: dict[str, Any] = {"explorations": [result.as_json() for result in found]}
        print_json(data | ({"coverage": [c.as_json() for c in covered]} if coverage else {}))
        raise typer.Exit(code)
    for result in found:
        rate = f"{result.states / max(result.seconds, 1e-9):,.0f} states/s"
        out.print(extent_line(result.instance, result.initial))
        out.print(
            f"{plural(result.states, 'state')}, {plural(result.transitions, 'step')}, depth {result.depth}, "
            f"{result.seconds:.1f} s ({rate}), {_extent(result, limit, chosen)}"
        )
        for v in result.verdicts:
            what = v.detail.get("why") or (extent(v.detail) if v.detail else "")
            out.print(f"{v.status:<8} {v.property:<36} {v.method}{': ' if what else ''}{what}")
            if v.trace:
                out.print("\n".join(f"         {line}" for line in v.trace.lines()))
                reasons = reasons_of(v.trace, v.property)
                out.print("\n".join(f"         {line}" for reason in reasons for line in reason.lines()))
    if picture is not None:
        out.print(drawn(cases, picture))
    for one in covered:
        show_coverage(one)
    raise typer.Exit(code)


def _extent(result: Any, limit: int, engine: str) -> str:
    """Whether all states were seen; else why there may be more of them than the limit."""
    if result.complete or result.states < limit:
        return "complete" if result.complete else "not complete"
    begun = "state" if engine == "python" else "level"
    return f"not complete: stopped at --limit {limit:,}, when the {begun} under way was finished"


def _checkpoint(folder: Path, resume: bool, every: float) -> Any:
    from mtpo.proofs.checkpoint import MANIFEST, Checkpoint

    if resume and not (folder / MANIFEST).exists():
        raise usage(f"{folder}: holds no checkpoint to resume; leave out --resume to begin")
    return Checkpoint(folder, resume, every)


@contextlib.contextmanager
def _saying_what_is_saved(checkpoint: Any) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as stop:
        if checkpoint is None:
            raise
        saved = f"{plural(checkpoint.saved, 'state')} saved in {checkpoint.folder}, go on with --resume"
        raise KeyboardInterrupt(f"{stop} ({saved if checkpoint.saved else 'nothing saved yet'})") from None


def _engine(name: str | None, compiled: bool, symmetry: bool) -> Any:
    """The engine that the options mean."""
    from mtpo.proofs.explore import ENGINES

    if name is not None and name not in ENGINES:
        raise usage(f"--engine {name}: unknown; known: {', '.join(ENGINES)}")
    if compiled and name not in (None, "compiled"):
        raise usage(f"--compiled is --engine compiled: leave it out with --engine {name}")
    if symmetry and name == "python":
        raise usage("--symmetry is not for --engine python: choose compiled, numpy, torch or cupy")
    return name or ("compiled" if compiled or symmetry else "python")
