"""The instances of serial: they begin with the runs of MTPO that have come to rest, all those of a small instance."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Final

from mtpo.proofs.exploration.instances import Roots, TooManyChoices, mtpo_instance
from mtpo.spec.concrete import Instance, State
from mtpo.spec.language import Sort, Spec
from mtpo.spec.mtpo import Agent, Call, Object, Value, model, mtpo
from mtpo.spec.serial import serial

MAX_STATES: Final = 2_000_000
"""States of MTPO among which those are looked for in which it rests, unless another limit is given."""

_LEAST: Final[Mapping[type[Sort], int]] = {Object: 1, Value: 2, Call: 3}
"""Sizes of which smaller ones show little."""

Tables = Mapping[str, tuple[int, ...]]
"""The values of symbols, in table order."""


def serial_instance(
    sizes: Mapping[type[Sort], int], spec: Spec = serial, limit: int = MAX_STATES
) -> tuple[Instance, Roots]:
    """From every quiet state that MTPO reaches with so many agents, calls (the origin among them), objects and values:
    all footprints, both policies, aborts, retractions, changes from outside, and with three values or more predicates.

    An agent has as many calls as there are for each. Raises :class:`TooManyChoices` where MTPO has more states than the
    limit.
    """
    agents, values = sizes[Agent], sizes[Value]
    calls = max(1, (sizes[Call] - 1) // agents)
    instance = Instance(spec, {**sizes, Call: 1 + agents * calls}, {}, open=tuple(spec.constants))

    def make() -> Iterator[State]:
        for tables in _at_rest(agents, calls, sizes[Object], values, limit):
            yield instance.freeze(instance.initial(tables))

    predicates = ", with predicates on all premises" if values > 2 else ""
    return instance, Roots(
        make, f"every quiet state of mtpo with aborts, retractions, changes from outside{predicates}"
    )


@functools.lru_cache(maxsize=4)
def _at_rest(agents: int, calls: int, objects: int, values: int, limit: int) -> tuple[Tables, ...]:
    return at_rest(*mtpo_instance(agents, calls, objects, values, faults=True, predicates=values > 2), limit)


def at_rest(instance: Instance, roots: Roots, limit: int = MAX_STATES) -> tuple[Tables, ...]:
    """What the constants of serial are in the quiet states of an instance of MTPO, each choice once."""
    quiet = instance.formula(model.global_quiet(), "GlobalQuiet", grounded=True)
    symbols = {**mtpo.constants, **mtpo.variables}
    places = {name: (instance.offsets[name], instance.cells(symbols[name])) for name in instance.offsets}

    def table(state: State, name: str) -> tuple[int, ...]:
        if name in instance.constants:
            return instance.constants[name]
        first, cells = places[name]
        return tuple(state[first : first + cells])

    rests = (
        tuple(table(state, name) for name in serial.constants)
        for state in _states(instance, roots, limit)
        if quiet(state)
    )
    return tuple(dict(zip(serial.constants, tables, strict=True)) for tables in dict.fromkeys(rests))


def _states(instance: Instance, roots: Roots, limit: int) -> Iterator[State]:
    """Every reachable state."""
    _, successors = instance.ground()
    seen = dict.fromkeys(roots)
    work = list(seen)
    while work:
        state = work.pop()
        yield state
        for _, after in successors(state):
            if after not in seen:
                seen[after] = None
                work.append(after)
        if len(seen) > limit:
            smaller = next((sort for sort in (Object, Value, Call) if instance.sizes[sort] > _LEAST[sort]), Agent)
            raise TooManyChoices(
                f"serial: begins where mtpo rests, which has more than {limit:,} states of these sizes: give explore a "
                f"higher --limit (some 200 bytes a state), or smaller sizes: fewer of {smaller.__name__}"
            )
