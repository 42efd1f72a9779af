"""Explore every reachable state of a small instance of a spec and check all properties there.

For mtpo the instance has AGENTS agents with CALLS calls each on OBJECTS objects: every footprint, with and without
inverses, both policies; with --faults agents also abort and retract, and somebody outside changes objects. For other
specs every sort has SIZE elements and every choice of constants is tried (for fair, whose constants are times, a few of
them; for serial, the states in which mtpo rests, looked for among as many of its states as --limit says). Whole states
are compared, not fingerprints. A property that fails is shown with a shortest run; something that must be reachable and
is never reached is a failure too. Variants, and that runs end by them, are not looked at: that is said, and `mtpo
prove` decides them.

--engine says what runs it. auto, the default, begins with python, which takes each state by itself; where there are
more than 20,000 states, many of them at each depth, it goes on with numpy, in columns: a program on arrays is made from
the spec in a second and takes many thousand states at once, a million a second. torch runs the same program with
PyTorch, cupy with CuPy: for a GPU. compiled makes machine code, which takes a minute for mtpo and is kept for the next
time: for specs with very many choices of arguments. All but python need about 30 bytes a state, and take --symmetry:
one state for all that differ only by a renaming of elements of unordered sorts. The output says which engine ran.

With auto or numpy states of mtpo, and with --jobs those of any spec with constants, are explored in parts, since
different constants never meet: by so many processes, by default one for each core. That finds what one exploration
would, a shortest run to a violation too, in the memory of the parts under way. --limit counts over all parts; what it
left out is looked at once more, breadth first, each choice of constants to its share of as many states again, if there
are fewer choices than one for 50 states. Specs without constants are one part.

--checkpoint DIR saves now and then, at the end of a level, what was found so far, in a folder of the spec's name; the
same command with --resume goes on from there, with any engine but python, and with a higher --limit too. Of parts it
saves what those that are done came to; the others are begun anew. A saving that fails, as where the disk is full, ends
nothing: it is tried again later, and if the last one failed a line on standard error says so, beside the verdict and
its exit code.

--picture draws a shortest run to each violation, and one that refutes each claim that must be refuted: who took which
step, what each state holds, and for which elements the property is false. --itf writes the same runs for viewers. Where
there is none, neither makes anything. --coverage tells what was exercised: each action taken, each conjunct of a guard
true and false, each update a change; what never was is a failure, unless the spec's file lists it: UNREACHABLE =
{"SPEC.ACTION.CLAUSE false": "because ..."}.

--live looks at whole runs instead: every one comes to its goal and keeps it, as long as steps are taken that can be. A
run that may end without, or goes on for ever, though no action is passed over that stays enabled, is shown. The goal of
mtpo is that every agent commits; for other specs name a property, --goal. --may ACTION: nobody need ever take it.

--walks N takes random walks instead, in instances too large to explore (--size up to 20): every property is looked at
in every state and step that they come through. What holds there is SAMPLED: not shown, but so many walks, steps and
states did not violate it. A violating walk is shown, shortened. --seed and --depth say which walks, and how long.

--footprints N draws N footprints of mtpo, where there are too many to explore all, by --seed, and looks at every state
of each, up to --limit states each. What holds in all of them is SAMPLED, with how many they are of how many; if one has
more states than the limit, UNKNOWN.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mtpo_core.cli.common import frontier, progress, usage, verb
from mtpo_core.cli.covered import measure
from mtpo_core.cli.ending import Ending
from mtpo_core.cli.explored import check_what_goes_together, note_what_holds, tell_explored
from mtpo_core.cli.exploring import Way, engine_of, saying_what_is_saved
from mtpo_core.cli.lively import live_runs
from mtpo_core.cli.sampled import drawn_footprints
from mtpo_core.cli.sized import Sizes
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
        typer.Option(help="auto, python, compiled, numpy, torch or cupy  [default: auto]", metavar="ENGINE"),
    ] = None,
    compiled: Annotated[bool, typer.Option("--compiled", help="the same as --engine compiled")] = False,
    symmetry: Annotated[
        bool, typer.Option("--symmetry", help="one state for all its renamings (numpy, unless --engine says other)")
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, max=256, help="processes that explore parts  [default: one for each core]", metavar="N"),
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="save what was found so far under this folder", metavar="DIR")
    ] = None,
    every: Annotated[
        float, typer.Option("--checkpoint-every", min=0.0, help="seconds between two savings, at least")
    ] = 10.0,
    resume: Annotated[bool, typer.Option("--resume", help="go on from what --checkpoint holds")] = False,
    itf: Annotated[
        Path | None,
        typer.Option(
            help="write each run that violates, or refutes what must be refuted, in ITF (Apalache, Quint)",
            metavar="DIR",
        ),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(help="draw each run that violates, or refutes what must be refuted, as a page in one file"),
    ] = None,
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
    footprints: Annotated[
        int | None,
        typer.Option(min=1, help="so many footprints, drawn, each to the end (mtpo only)", metavar="N"),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="of --walks and --footprints  [default: 0]")] = None,
    depth: Annotated[int | None, typer.Option(min=1, help="steps of a walk, at most  [default: 100]")] = None,
    record: Annotated[Path | None, typer.Option(help="write what holds into this ledger (built-in specs only)")] = None,
    json: Annotated[bool, typer.Option("--json", help="machine-readable output")] = False,
) -> None:
    """See the module's docstring."""
    check_ledger(record, spec)
    way = Way(engine_of(engine, compiled, symmetry), limit, symmetry, jobs, checkpoint, every, resume)
    default, ending = way.engine in ("auto", "python") and not symmetry and jobs is None, Ending(itf, picture, json)
    sizes = Sizes(agents, calls, objects, faults, predicates, size)
    sizes.check(spec)
    check_what_goes_together(
        {"--live": live, "--walks": walks, "--footprints": footprints, "--coverage": coverage},
        {
            "--goal": goal,
            "--may": may,
            "--seed": seed,
            "--depth": depth,
            "--record": record,
            "--checkpoint": checkpoint,
        },
        default,
    )
    source = find_source(spec)
    check_finite(source, spec)
    if walks:
        drawn_from = [sizes.drawn(one) for one in source.specs]
        raise typer.Exit(random_walks(drawn_from, walks, seed or 0, depth, ending))
    made = [(one, *sizes.instance(one, limit)) for one in source.specs]
    if footprints:
        if way.engine not in ("auto", "numpy") or symmetry:
            raise usage("--footprints are explored by numpy, state by state: leave out --engine and --symmetry")
        raise typer.Exit(drawn_footprints(made, footprints, seed or 0, limit, jobs, ending))
    if live:
        raise typer.Exit(live_runs(made, goal, may or [], limit, record, ending))
    from mtpo.proofs.exploration.refuted import with_refuting_runs

    found: list[Any] = []
    covered: list[Any] = []
    for one, instance, initial in made:
        if not one.role("invariant", "lemma", "step", "reachable"):
            raise usage(f"{one.name}: no invariant, step property or reachable formula to check")
        saved = way.saved(instance, sizes.options())
        with saying_what_is_saved(saved), progress(f"exploring {one.name}", json) as tell:
            found.append(with_refuting_runs(way.explore(instance, initial, saved, tell), initial))
        if coverage:
            with progress(f"coverage of {one.name}", json) as tell:
                covered.append(measure(instance, initial, limit, source.unreachable, frontier(tell)))
        if record is not None:
            note_what_holds(record, one, found[-1].verdicts)
    raise typer.Exit(tell_explored(found, covered, limit, spec, ending))
