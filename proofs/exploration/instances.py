"""The finite instances that are explored.

For MTPO every footprint of a few calls; for FairBatching and batches of a bounded gap, whose constants are times and
lengths, and for recovery, whose states are many, a few choices of them; for serial every run of MTPO that has come to
rest (:mod:`mtpo.proofs.exploration.resting`); for other specs every choice of constants.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Final

import attrs

from mtpo.spec.bounded_gap import Request as GapRequest
from mtpo.spec.bounded_gap import gap
from mtpo.spec.concrete import Instance, State
from mtpo.spec.fairbatching import Request, fair
from mtpo.spec.language import Sort, Spec
from mtpo.spec.levels import Position, levels
from mtpo.spec.mtpo import Agent, Call, Object, Value, mtpo
from mtpo.spec.names import Call as NamingCall
from mtpo.spec.names import Node, names
from mtpo.spec.recovery import Call as LoggedCall
from mtpo.spec.recovery import Object as LoggedObject
from mtpo.spec.recovery import recovery
from mtpo.spec.serial import serial
from mtpo.spec.shadows import Call as HiddenCall
from mtpo.spec.shadows import Object as HiddenObject
from mtpo.spec.shadows import shadows

MAX_CHOICES = 2_000_000


class TooManyChoices(ValueError):
    """The constants of an instance have more values than can be tried one by one."""


@attrs.frozen
class Roots:
    """Initial states, made as they are asked for, as often as they are asked for.

    ``choice`` says which constants they have where not every choice is made.
    """

    make: Callable[[], Iterator[State]]
    choice: str = ""

    def __iter__(self) -> Iterator[State]:
        return self.make()


def is_mtpo(spec: Spec) -> bool:
    """Whether a spec is the built-in mtpo or one made of it by changing rules; a user's may bear its name."""
    return spec.constants.get("origin") is mtpo.constants["origin"]


FAULTS: Final = frozenset({"abort", "retract", "retracted", "external"})
"""The actions of MTPO that a run without trouble does not take."""

_OF_FAULTS: Final = frozenset({"mtpo.may-give-up", "mtpo.reach-aborted", "mtpo.reach-kept", "mtpo.reach-foreign"})


_OF_PREDICATES: Final = frozenset({"mtpo.reach-waived"})
"""What is reached only where authors declare predicates."""

_OF_TWO_OBJECTS: Final = frozenset({"mtpo.reach-two-repairs"})
"""What is reached only where two repairs need not touch."""


def without_actions(spec: Spec, left_out: Collection[str] = FAULTS) -> Spec:
    """MTPO where some actions are not taken, by default none that is trouble: its variants and endings say nothing of
    these, and nobody can give up or is seen to have met trouble where some of it is left out."""

    def kept(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in names if name not in left_out)

    gone = _OF_FAULTS if FAULTS & {*left_out} else frozenset()
    return spec.without(
        actions={name: action for name, action in spec.actions.items() if name not in left_out},
        properties={id: p for id, p in spec.properties.items() if id not in gone},
        variants={
            id: attrs.evolve(v, decreases=kept(v.decreases), raised_by=kept(v.raised_by))
            for id, v in spec.variants.items()
        },
        endings={id: attrs.evolve(ending, but=kept(ending.but)) for id, ending in spec.endings.items()},
    )


def mtpo_instance(
    agents: int,
    calls: int,
    objects: int,
    values: int | None = None,
    spec: Spec = mtpo,
    faults: bool = False,
    predicates: bool = False,
) -> tuple[Instance, Roots]:
    """``agents`` agents with ``calls`` calls each: all footprints, with and without inverses, both policies.

    ``faults``: whether agents abort and retract, and somebody from outside changes objects. ``predicates``: whether
    every premise carries one, true of every value but the last; there are three values then, otherwise two. Left out by
    symmetry: renamings of objects, calls without a footprint, reads without an inverse. The initial value of every
    object is the same one.
    """
    total = 1 + agents * calls
    values = values or (3 if predicates else 2)
    spec = spec if faults else without_actions(spec)
    out = (_OF_TWO_OBJECTS if objects < 2 else frozenset()) | (frozenset() if predicates else _OF_PREDICATES)
    spec = spec.without(properties={id: p for id, p in spec.properties.items() if id not in out})
    sizes: dict[type[Sort], int] = {Agent: agents, Call: total, Object: objects, Value: values}
    fixed = {
        "origin": [0],
        "author": [0] + [a for a in range(agents) for _ in range(calls)],
        "given": [0] * objects,
        "accepts": [int(predicates and v < values - 1) for _ in range(total * objects) for v in range(values)],
    }
    instance = Instance(spec, sizes, fixed, open=("reads", "writes", "invertible", "replay"))
    choices = ["footprints up to renamings"]
    choices += ["with aborts, retractions and changes from outside"] if faults else []
    choices += ["with predicates on all premises"] if predicates else []
    return instance, Roots(lambda: _footprints(instance, total - 1, objects), "; ".join(choices))


def _footprints(instance: Instance, calls: int, objects: int) -> Iterator[State]:
    subsets = list(itertools.product((0, 1), repeat=objects))
    kinds = [
        (r, w, inverse)
        for r in subsets
        for w in subsets
        if any(r) or any(w)
        for inverse in ((0, 1) if any(w) else (1,))
    ]
    renamed = [
        [kinds.index((tuple(r[p] for p in order), tuple(w[p] for p in order), i)) for r, w, i in kinds]
        for order in itertools.permutations(range(objects))
    ][1:]
    for choice in itertools.product(range(len(kinds)), repeat=calls):
        if any(tuple(table[k] for k in choice) < choice for table in renamed):
            continue  # its least renaming stands for it
        for replay in (0, 1):
            chosen = {
                "reads": [0] * objects + [bit for k in choice for bit in kinds[k][0]],
                "writes": [1] * objects + [bit for k in choice for bit in kinds[k][1]],
                "invertible": [1] + [kinds[k][2] for k in choice],
                "replay": [replay],
            }
            yield instance.freeze(instance.initial(chosen))


TIMES: Mapping[str, tuple[int, ...]] = {
    "a": (1,),
    "b": (1,),
    "c": (1,),
    "idle": (4,),
    "prompt": (3, 2, 1),
    "output": (2, 3, 2),
    "tpot": (3, 9, 4),
    "ddl": (14, 60, 25),
}
"""Times and lengths for FairBatching: short prompts and outputs; a strict request, one with much time, one between."""

OTHER_TIMES: tuple[tuple[str, Mapping[str, tuple[int, ...]]], ...] = (
    ("as listed", {}),
    ("context free of charge", {"c": (0,)}),
    ("every deadline missed", {"ddl": (0,)}),
    ("a small idle budget", {"idle": (1,)}),
    ("steps free of charge and every request strict", {"a": (0,), "tpot": (1,)}),
    (
        "two urgent at a time",
        {
            "a": (0,),
            "c": (0,),
            "idle": (8,),
            "prompt": (1, 1, 2),
            "output": (2, 1, 3),
            "tpot": (6, 4, 5),
            "ddl": (14, 39, 7),
        },
    ),
    (
        "a prompt that outgrows the batch",
        {"a": (0,), "idle": (6,), "prompt": (3, 3, 2), "output": (1,), "tpot": (6, 9, 2), "ddl": (37, 24, 18)},
    ),
)
"""What differs from ``TIMES`` in each choice that is explored, and what that means."""


def is_fair(spec: Spec) -> bool:
    """Whether a spec is the built-in fair or one made of it by changing rules."""
    return spec.constants.get("tpot") is fair.constants["tpot"]


def fair_instance(requests: int, spec: Spec = fair) -> tuple[Instance, Roots]:
    """``requests`` requests with each of the choices of times; past three requests they repeat."""
    instance = Instance(spec, {Request: requests}, {}, open=tuple(spec.constants))

    def make() -> Iterator[State]:
        for _, changed in OTHER_TIMES:
            given = {**TIMES, **changed}
            tables = {
                name: [given[name][place % len(given[name])] for place in range(instance.cells(symbol))]
                for name, symbol in spec.constants.items()
            }
            yield instance.freeze(instance.initial(tables))

    return instance, Roots(make, f"{len(OTHER_TIMES)} choices of times: {'; '.join(name for name, _ in OTHER_TIMES)}")


GAP_TIMES: Final[tuple[tuple[str, Mapping[str, tuple[int, ...]]], ...]] = (
    (
        "shares for two at a time",
        {
            "a": (1,),
            "b": (1,),
            "c": (1,),
            "bound": (12,),
            "prompt": (3, 1, 2),
            "output": (2, 3, 1),
            "ddl": (5, 7, 9),
        },
    ),
    (
        "context free of charge, and one deadline for all",
        {"a": (0,), "b": (2,), "c": (0,), "bound": (4,), "prompt": (4, 2, 3), "output": (1, 2, 2), "ddl": (0,)},
    ),
)
"""Times and lengths for batches of a bounded gap; past three requests they repeat."""


def is_gap(spec: Spec) -> bool:
    """Whether a spec is the built-in gap or one made of it by changing rules."""
    return spec.constants.get("bound") is gap.constants["bound"]


def gap_instance(requests: int, spec: Spec = gap) -> tuple[Instance, Roots]:
    """``requests`` requests with each of the choices of times."""
    instance = Instance(spec, {GapRequest: requests}, {}, open=tuple(spec.constants))

    def make() -> Iterator[State]:
        for _, given in GAP_TIMES:
            tables = {
                name: [given[name][place % len(given[name])] for place in range(instance.cells(symbol))]
                for name, symbol in spec.constants.items()
            }
            yield instance.freeze(instance.initial(tables))

    return instance, Roots(make, f"{len(GAP_TIMES)} choices of times: {'; '.join(name for name, _ in GAP_TIMES)}")


LOGGED_CALLS: Final[tuple[tuple[str, tuple[tuple[str, bool], ...]], ...]] = (
    ("one with an inverse on all objects, one without on the last", (("all", True), ("last", False))),
    ("one on all objects, one on the last, both with inverses", (("all", True), ("last", True))),
    ("one with an inverse and one without, on objects of their own", (("own", True), ("own", False))),
)
"""The calls of each choice for recovery: what they write, whether they have an inverse; past two calls they repeat."""


def is_recovery(spec: Spec) -> bool:
    """Whether a spec is the built-in recovery or one made of it by changing rules."""
    return spec.constants.get("tame") is recovery.constants["tame"]


def recovery_instance(sizes: dict[type[Sort], int], spec: Spec = recovery) -> tuple[Instance, Roots]:
    """Each of the choices of calls. The first call is the origin; every inverse is tame, every resource answers, and
    the initial value of every object is the same one."""
    instance = Instance(spec, sizes, {}, open=tuple(spec.constants))
    calls, objects = sizes[LoggedCall], sizes[LoggedObject]

    def make() -> Iterator[State]:
        for _, kinds in LOGGED_CALLS:
            chosen = [kinds[call % len(kinds)] for call in range(calls - 1)]
            written = {"all": range(objects), "last": (objects - 1,)}
            tables = {
                "origin": [0],
                "writes": [1] * objects
                + [
                    int(o in written.get(where, (call % objects,)))
                    for call, (where, _) in enumerate(chosen)
                    for o in range(objects)
                ],
                "invertible": [0] + [int(inverse) for _, inverse in chosen],
                "askable": [1] * calls,
                "given": [0] * objects,
                "tame": [1] * calls,
            }
            yield instance.freeze(instance.initial(tables))

    return instance, Roots(make, f"{len(LOGGED_CALLS)} choices of calls: {'; '.join(name for name, _ in LOGGED_CALLS)}")


HIDDEN_CALLS: Final[tuple[tuple[str, tuple[tuple[str, str], ...]], ...]] = (
    (
        "a blind write on all objects below one on the first and one on the last",
        (("", "all"), ("", "first"), ("", "last")),
    ),
    ("a reader between two blind writes", (("", "first"), ("first", ""), ("", "first"))),
    ("two blind writes below one that reads", (("", "first"), ("", "first"), ("first", "first"))),
    ("three blind writes on one object", (("", "first"),)),
    ("a blind write below another and a reader", (("", "first"), ("", "first"), ("first", ""))),
    ("a write below two that meet on another object", (("", "first"), ("", "all"), ("", "last"))),
    ("a write below one whose other object is read", (("", "first"), ("", "all"), ("last", ""))),
    ("a write below one that reads what the next writes", (("", "first"), ("last", "first"), ("", "last"))),
    ("a blind write below one that reads it for another object", (("", "first"), ("first", "last"), ("", "all"))),
)
"""The calls of each choice for shadows: which objects they read and write; past three calls they repeat."""


def is_shadows(spec: Spec) -> bool:
    """Whether a spec is the built-in shadows or one made of it by changing rules."""
    return spec.variables.get("shadowed") is shadows.variables["shadowed"]


def shadows_instance(sizes: dict[type[Sort], int], spec: Spec = shadows) -> tuple[Instance, Roots]:
    """Each of the choices of calls. The first call is the origin."""
    calls, objects = sizes[HiddenCall], sizes[HiddenObject]
    instance = Instance(spec, sizes, {"origin": [0]}, open=("reads", "writes"))

    def make() -> Iterator[State]:
        which: dict[str, Iterable[int]] = {"": (), "all": range(objects), "first": (0,), "last": (objects - 1,)}
        for _, kinds in HIDDEN_CALLS:
            chosen = [kinds[call % len(kinds)] for call in range(calls - 1)]
            tables = {
                "reads": [0] * objects + [int(o in which[read]) for read, _ in chosen for o in range(objects)],
                "writes": [1] * objects + [int(o in which[written]) for _, written in chosen for o in range(objects)],
            }
            yield instance.freeze(instance.initial(tables))

    return instance, Roots(make, f"{len(HIDDEN_CALLS)} choices of calls: {'; '.join(name for name, _ in HIDDEN_CALLS)}")


def is_names(spec: Spec) -> bool:
    """Whether a spec is the built-in names or one made of it by changing rules."""
    return spec.constants.get("over") is names.constants["over"]


FOOTPRINTS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("all, and a leaf", ("root", "leaf")),
    ("a leaf, and another", ("leaf", "last")),
    ("a directory, and a leaf in it", ("inner", "leaf")),
)
"""The names of each call in each choice for names; past two calls they repeat."""


def names_instance(sizes: dict[type[Sort], int], spec: Spec = names) -> tuple[Instance, Roots]:
    """One tree: directories in each other, the root the outermost, a leaf in the innermost, another in the root; and
    each of the choices of footprints."""
    nodes = sizes[Node]
    parents = [0, *range(nodes - 2), 0][:nodes]
    paths = [{0}]
    for node in range(1, nodes):
        paths.append(paths[parents[node]] | {node})
    leaves = [int(nodes - 2 <= node and (node > 0)) for node in range(nodes)]
    under = [next((m for m in range(nodes) if leaves[m] and n in paths[m]), n) for n in range(nodes)]
    constants = {
        "over": [int(n in paths[m]) for n in range(nodes) for m in range(nodes)],
        "leaf": leaves,
        "root": [0],
        "some": under,
    }
    instance = Instance(spec, sizes, constants, open=("footprint",))
    which = {"root": 0, "leaf": max(0, nodes - 2), "last": nodes - 1, "inner": min(1, nodes - 1)}

    def make() -> Iterator[State]:
        for _, chosen in FOOTPRINTS:
            named = [which[chosen[call % len(chosen)]] for call in range(sizes[NamingCall])]
            yield instance.freeze(instance.initial({"footprint": [int(n == m) for n in named for m in range(nodes)]}))

    return instance, Roots(make, f"one tree; footprints: {'; '.join(name for name, _ in FOOTPRINTS)}")


def is_serial(spec: Spec) -> bool:
    """Whether a spec is the built-in serial or one made of it by changing rules."""
    return spec.variables.get("made") is serial.variables["made"]


def is_levels(spec: Spec) -> bool:
    """Whether a spec is the built-in levels or one made of it by changing rules."""
    return spec.variables.get("made") is levels.variables["made"]


def sizes_for(spec: Spec, size: int | None = None) -> dict[type[Sort], int]:
    """Elements of each sort of a spec other than mtpo: ``size``, or the least that will do.

    That is two, but for fair three requests, since of two none is ever put off, for gap three, since two leave a third
    waiting, for recovery two calls beside the origin, for shadows three, for names
    four nodes, for levels four positions and one query, and for serial two calls beside the origin, on one object, of
    which a predicate tells one value from two.
    """
    if size is None and is_recovery(spec):
        return {sort: 3 if sort is LoggedCall else 2 for sort in spec.sorts}
    if size is None and is_names(spec):
        return {sort: 4 if sort is Node else 2 for sort in spec.sorts}
    if size is None and is_serial(spec):
        return {sort: {Call: 3, Object: 1, Value: 3}.get(sort, 2) for sort in spec.sorts}
    if size is None and is_levels(spec):
        return {sort: 4 if sort is Position else 1 for sort in spec.sorts}
    if size is None and is_shadows(spec):
        return {sort: 4 if sort is HiddenCall else 2 for sort in spec.sorts}
    return dict.fromkeys(spec.sorts, size or (3 if is_fair(spec) or is_gap(spec) else 2))


def small_instance(spec: Spec, sizes: dict[type[Sort], int]) -> tuple[Instance, Roots]:
    """The instance of a spec, other than mtpo, that is explored with so many elements of each sort."""
    if is_fair(spec):
        return fair_instance(sizes[Request], spec)
    if is_gap(spec):
        return gap_instance(sizes[GapRequest], spec)
    if is_shadows(spec):
        return shadows_instance(sizes, spec)
    if is_names(spec):
        return names_instance(sizes, spec)
    if is_serial(spec):
        from mtpo.proofs.exploration.resting import serial_instance  # which needs what is above

        return serial_instance(sizes, spec)
    return recovery_instance(sizes, spec) if is_recovery(spec) else every_instance(spec, sizes)


def every_instance(spec: Spec, sizes: dict[type[Sort], int]) -> tuple[Instance, Roots]:
    """Every choice of constants that the assumptions allow, for the given sizes."""
    instance = Instance(spec, sizes, {}, open=tuple(spec.constants))
    count = 1
    for symbol in spec.constants.values():
        count *= instance.size(symbol.range) ** instance.cells(symbol)
        if count > MAX_CHOICES:
            raise TooManyChoices(f"{spec.name}: more than {MAX_CHOICES:,} choices of constants; explore smaller sizes")
    return instance, Roots(lambda: _choices(spec, instance))


def _choices(spec: Spec, instance: Instance) -> Iterator[State]:
    tables = [
        list(itertools.product(range(instance.size(symbol.range)), repeat=instance.cells(symbol)))
        for symbol in spec.constants.values()
    ]
    for tuple_ in itertools.product(*tables):
        state = instance.freeze(instance.initial(dict(zip(spec.constants, tuple_, strict=True))))
        if not instance.assumed(state):
            yield state
