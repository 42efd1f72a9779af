"""Exploration in columns: the whole search of an instance on arrays, and the runs that lead to what it found."""

from __future__ import annotations

from collections.abc import Iterable

from mtpo.proofs.columns.arrays import Arrays
from mtpo.proofs.columns.batches import Batches, Wide, new_batches, resumed, run, save
from mtpo.proofs.columns.columns import columns_of
from mtpo.proofs.exploration.checkpoint import Checkpoint
from mtpo.proofs.exploration.explore import Found
from mtpo.proofs.exploration.packing import Packing
from mtpo.proofs.exploration.rows import Progress, integers, layout, roots_of, run_through, successors
from mtpo.proofs.exploration.symmetry import Symmetry, symmetry_of
from mtpo.proofs.verdicts import Trace
from mtpo.spec.concrete import Instance, InstanceError, State


def search_columns(
    instance: Instance,
    initial: Iterable[State] | None = None,
    *,
    limit: int,
    arrays: Arrays,
    symmetry: bool = False,
    lanes: int | None = None,
    checkpoint: Checkpoint | None = None,
    progress: Progress = lambda states, frontier: None,
) -> Found:
    """Every reachable state, on the arrays of a library, up to ``limit`` states (and a batch) or a violation.

    With ``symmetry`` one state stands for all that differ from it by a renaming of unordered sorts. ``lanes`` is how
    many states are expanded at once, by default what suits the library. ``checkpoint`` is saved now and then, at the
    end, and gone on from when it holds something.
    """
    roots = roots_of(instance, initial, limit, progress)
    renamings = symmetry_of(instance) if symmetry else None
    kept = None if roots.cut else checkpoint
    loaded = None if kept is None else kept.begin(instance, roots.table, symmetry, arrays.name)
    seen = integers(instance, roots.table)
    while True:
        bits, signed = layout(instance, seen) if loaded is None else (loaded.bits, loaded.signed)
        packing = Packing(instance, bits, signed)
        columns = arrays.fused(columns_of(packing, renamings))
        with arrays.at_work():
            if loaded is not None:
                search, count = resumed(columns, arrays, loaded, lanes), loaded.standing.initial
            else:
                search = new_batches(columns, arrays, packing.pack(roots.table), lanes)
                count = search.count
                if kept is not None:
                    kept.restart(packing)

            def boundary(search: Batches = search, count: int = count) -> None:
                if kept is not None and kept.due():
                    save(search, kept, count)

            try:
                run(search, 0 if roots.cut else limit, progress, boundary)
            except Wide as wide:
                (state,) = packing.unpack(search.kept([wide.position]))
                row = instance.freeze([int(v) for v in state])
                seen = [*seen, *integers(instance, [after for _, after in successors(instance, row)])]
                if layout(instance, seen) == (bits, signed):
                    raise InstanceError(
                        f"{instance.spec.name}: the generated program finds an integer of more than {bits} bits that "
                        "the spec does not have; that is a mistake in mtpo, please report it; explore with --engine "
                        "python"
                    ) from None
                loaded = None
                continue
        if kept is not None and search.bad is None:
            save(search, kept, count)
        return _found(instance, search, renamings, count)


def _found(instance: Instance, search: Batches, symmetry: Symmetry | None, initial: int) -> Found:
    violated = None if search.bad is None else _trace(instance, search, symmetry)
    return Found(
        initial,
        search.count,
        search.transitions,
        len(search.levels) - 1,
        search.done == search.count and violated is None,
        dict(zip(instance.spec.actions, map(int, search.taken), strict=False)),
        frozenset(search.reached),
        violated,
        search.bytes_per_state,
        1 if symmetry is None else len(symmetry.renamings),
    )


def _trace(instance: Instance, search: Batches, symmetry: Symmetry | None) -> Trace:
    assert search.bad is not None
    chain = [search.bad]
    while int(search.parents[chain[-1]]) != chain[-1]:
        chain.append(int(search.parents[chain[-1]]))
    rows = search.columns.packing.unpack(search.kept(chain[::-1]))
    return run_through(instance, [tuple(int(v) for v in row) for row in rows], symmetry, step=search.step)
