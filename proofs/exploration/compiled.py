"""Exploration by machine code: the whole search of an instance, and the runs that lead to what it found."""

from __future__ import annotations

from collections.abc import Iterable

from mtpo.proofs.exploration import kernelcache
from mtpo.proofs.exploration.checkpoint import Checkpoint
from mtpo.proofs.exploration.explore import Found
from mtpo.proofs.exploration.kernel import BAD, KIND, REACHED, STEP, STOP, TRANSITIONS, VIOLATED, WIDE, compile_kernel
from mtpo.proofs.exploration.rows import Progress, integers, layout, roots_of, run_through
from mtpo.proofs.exploration.search import Search, new_search, resumed, run, save
from mtpo.proofs.exploration.symmetry import Symmetry, symmetry_of
from mtpo.proofs.verdicts import Trace
from mtpo.spec.concrete import Instance, State


def search_compiled(
    instance: Instance,
    initial: Iterable[State] | None = None,
    *,
    limit: int,
    symmetry: bool = False,
    jit: bool = True,
    checkpoint: Checkpoint | None = None,
    progress: Progress = lambda states, frontier: None,
) -> Found:
    """Every reachable state, by compiled code, up to ``limit`` states or the first violation.

    With ``symmetry`` one state stands for all that differ from it by a renaming of unordered sorts. Without ``jit`` the
    generated code is run by Python: for tests. ``checkpoint`` is saved now and then, at the end, and gone on from when
    it holds something.
    """
    roots = roots_of(instance, initial, limit, progress)
    renamings = symmetry_of(instance) if symmetry else None
    kept = None if roots.cut else checkpoint
    loaded = None if kept is None else kept.begin(instance, roots.table, symmetry, "compiled")
    seen = integers(instance, roots.table)
    while True:
        bits, signed = layout(instance, seen) if loaded is None else (loaded.bits, loaded.signed)
        kernel = compile_kernel(instance, bits, renamings, signed=signed, jit=jit)
        if loaded is not None:
            search, count = resumed(kernel, loaded), loaded.standing.initial
        else:
            search = new_search(kernel, roots.table)
            count = search.count
            if kept is not None:
                kept.restart(kernel.packing)

        def boundary(search: Search = search, count: int = count) -> None:
            if kept is not None and kept.due():
                save(search, kept, count)

        if not roots.cut:
            run(search, limit, progress, boundary)
        kernelcache.keep(kernel.code)
        if search.control[STOP] != WIDE:
            if kept is not None and search.control[STOP] != VIOLATED:
                save(search, kept, count)
            return _found(instance, search, renamings, count)
        seen = [*seen, *integers(instance, search.out)]  # the successors at which it stopped are among these
        loaded = None


def _found(instance: Instance, search: Search, symmetry: Symmetry | None, initial: int) -> Found:
    control, goals = search.control, search.kernel.goals
    violated = None
    if control[STOP] == VIOLATED:
        violated = _trace(instance, search, symmetry, int(control[BAD]), step=control[KIND] == STEP)
    return Found(
        initial,
        search.count,
        int(control[TRANSITIONS]),
        len(search.levels) - 1,
        search.done == search.count and violated is None,
        dict(zip(instance.spec.actions, map(int, search.taken), strict=False)),
        frozenset(goal for n, goal in enumerate(goals) if control[REACHED + n] >= 0),
        violated,
        search.bytes_per_state,
        1 if symmetry is None else len(symmetry.renamings),
    )


def _trace(instance: Instance, search: Search, symmetry: Symmetry | None, last: int, step: bool) -> Trace:
    """The run to a state, found again step by step from the kept states; with ``step``, one violating step more."""
    chain = [last]
    while int(search.parents[chain[-1]]) != chain[-1]:
        chain.append(int(search.parents[chain[-1]]))
    packing = search.kernel.packing
    kept = [tuple(int(v) for v in row) for row in packing.unpack(search.states[chain[::-1]])]
    return run_through(instance, kept, symmetry, step=step)
