"""The instance of a spec that sizes by name mean, in a notebook and for state machines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mtpo.proofs.exploration.explore import DEFAULT_LIMIT
from mtpo.proofs.exploration.instances import is_mtpo, is_serial, mtpo_instance, sizes_for, small_instance
from mtpo.proofs.exploration.resting import serial_instance
from mtpo.proofs.exploration.starts import Draw, drawing, large_instance
from mtpo.proofs.notebook.answers import StudyError
from mtpo.spec.concrete import Instance
from mtpo.spec.language import Spec

_OF_MTPO: Mapping[str, int] = {"agents": 2, "calls": 1, "objects": 2}
_MOST: Mapping[str, int] = {"agents": 4, "calls": 4, "objects": 3}
"""What is explored of mtpo in a lifetime; other specs have up to six elements of a sort."""


def instance_of(
    spec: Spec,
    size: int | None,
    sizes: Mapping[str, int],
    *,
    faults: bool = False,
    predicates: bool = False,
    limit: int = DEFAULT_LIMIT,
) -> tuple[Instance, Any]:
    """The instance that sizes by name mean, and its initial states. Raises :class:`StudyError` for a size it lacks.

    ``faults`` and ``predicates`` are for mtpo; ``limit``: of so many states of mtpo those at rest, where serial begins.
    """
    chosen = _chosen(spec, size, sizes, 6, faults=faults, predicates=predicates)
    if is_mtpo(spec):
        return mtpo_instance(**chosen, spec=spec, faults=faults, predicates=predicates)
    given = {sort: chosen[sort.__name__] for sort in spec.sorts}
    instance, roots = serial_instance(given, spec, limit) if is_serial(spec) else small_instance(spec, given)
    for sort, n in instance.sizes.items():
        if sizes.get(sort.__name__, n) != n:
            others = ", ".join(f"{other.__name__}={m}" for other, m in instance.sizes.items() if other is not sort)
            asked = f"{sort.__name__}={sizes[sort.__name__]}"
            raise StudyError(f"{spec.name}: {asked}: with {others} it has {sort.__name__}={n}")
    return instance, roots


def drawn_of(
    spec: Spec, size: int | None, sizes: Mapping[str, int], *, faults: bool = False, predicates: bool = False
) -> tuple[Instance, Draw]:
    """The instance, which may be larger than one to explore, and what draws its initial states."""
    from mtpo_core.cli.sized import MOST

    chosen = _chosen(spec, size, sizes, MOST, faults=faults, predicates=predicates)
    if is_mtpo(spec):
        made = mtpo_instance(**chosen, spec=spec, faults=faults, predicates=predicates)
        return made[0], drawing(*made)
    instance, roots = large_instance(spec, {sort: chosen[sort.__name__] for sort in spec.sorts})
    return instance, drawing(instance, roots)


def _chosen(
    spec: Spec, size: int | None, sizes: Mapping[str, int], most: int, *, faults: bool, predicates: bool
) -> dict[str, int]:
    """All sizes, by name."""
    known = _OF_MTPO if is_mtpo(spec) else {sort.__name__: n for sort, n in sizes_for(spec, size).items()}
    for name, n in ({} if size is None else {"size": size}).items() | sizes.items():
        if name not in known and (name != "size" or is_mtpo(spec)):
            raise StudyError(f"{spec.name}: no size {name!r}; it has {', '.join(known)}")
        if not isinstance(n, int) or isinstance(n, bool) or n < 1:
            raise StudyError(f"{spec.name}: {name}={n!r}: a size is a number of at least 1")
        if n > (largest := _MOST[name] if is_mtpo(spec) else most):
            raise StudyError(
                f"{spec.name}: {name}={n}: at most {largest}, or there are more states than can be looked at"
            )
    for option, given in (("faults", faults), ("predicates", predicates)):
        if given and not is_mtpo(spec):
            raise StudyError(f"{spec.name}: {option} means nothing for it: that is of mtpo")
    return {**known, **sizes}
