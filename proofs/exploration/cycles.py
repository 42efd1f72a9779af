"""Cycles of a graph of states: its strongly connected components, and in one of them a cycle that is weakly fair."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import TypeAlias

import attrs

from mtpo.spec.concrete import State, Step

Successors: TypeAlias = Callable[[State], list[tuple[int, State]]]
Edge: TypeAlias = tuple[int, int]
"""A step, by number, and the position of the state after it."""


@attrs.frozen(eq=False)
class Graph:
    """States by position, and the steps that change something: the n-th state's lead to ``targets`` from ``starts[n]``
    up to ``starts[n + 1]``."""

    states: list[State]
    starts: array[int]
    targets: array[int]


def components(graph: Graph) -> list[list[int]]:
    """The strongly connected components of more than one state, by Tarjan's algorithm without recursion."""
    starts, targets, count = graph.starts, graph.targets, len(graph.states)
    order, low = array("I", bytes(4 * count)), array("I", bytes(4 * count))
    edge, stacked = starts[:count], bytearray(count)
    found: list[list[int]] = []
    stack: list[int] = []
    clock = 0
    for root in range(count):
        path = [] if order[root] else [root]
        while path:
            here = path[-1]
            if not order[here]:
                clock += 1
                order[here] = low[here] = clock
                stacked[here] = 1
                stack.append(here)
            while edge[here] < starts[here + 1]:
                there = targets[edge[here]]
                edge[here] += 1
                if not order[there]:
                    path.append(there)
                    break
                if stacked[there] and order[there] < low[here]:
                    low[here] = order[there]
            else:
                path.pop()
                if path and low[here] < low[path[-1]]:
                    low[path[-1]] = low[here]
                if low[here] == order[here]:
                    component = _popped(stack, here, stacked)
                    if len(component) > 1:
                        found.append(component)
    return found


def _popped(stack: list[int], upto: int, stacked: bytearray) -> list[int]:
    popped = [stack.pop()]
    while popped[-1] != upto:
        popped.append(stack.pop())
    for position in popped:
        stacked[position] = 0
    return popped


def fair_cycle(
    graph: Graph,
    component: Sequence[int],
    start: int,
    successors: Successors,
    steps: Sequence[Step],
    must: Sequence[bool],
) -> list[Edge] | None:
    """A cycle through a state of a component that is weakly fair to the steps that must be taken; None if none is.

    It is fair if each action that must be taken is, for each choice of elements, taken on it or at some state of it not
    enabled. A cycle through all states and steps of the component owes least, so what that one owes decides.
    """
    known = {graph.states[position]: position for position in component}
    inside: dict[int, list[Edge]] = {}
    enabled: dict[int, frozenset[Step]] = {}
    for position in component:
        changing = [(n, after) for n, after in successors(graph.states[position]) if after != graph.states[position]]
        enabled[position] = frozenset(_owed(steps[n]) for n, _ in changing if must[n])
        inside[position] = [(n, known[after]) for n, after in changing if after in known]
    taken = {_owed(steps[n]) for edges in inside.values() for n, _ in edges}
    if frozenset.intersection(*enabled.values()) - taken:
        return None
    cycle: list[Edge] = []
    here, pending = start, enabled[start]

    def pays(n: int, position: int) -> bool:
        return _owed(steps[n]) in pending or not pending <= enabled[position]

    while pending:
        for n, position in _way(inside, here, pays):
            cycle.append((n, position))
            here, pending = position, (pending & enabled[position]) - {_owed(steps[n])}
    if not cycle or here != start:
        cycle += _way(inside, here, lambda _, position: position == start)
    return cycle


def _owed(step: Step) -> Step:
    """What fairness is of: an action and its elements; tables are choices within it."""
    return Step(step.action, tuple(arg for arg in step.args if isinstance(arg, int)))


def _way(inside: dict[int, list[Edge]], start: int, wanted: Callable[[int, int], bool]) -> list[Edge]:
    """A shortest way, of one step at least, whose last step is wanted."""
    parent: dict[int, tuple[int, Edge]] = {}
    frontier = [start]
    while frontier:
        following = []
        for here in frontier:
            for edge in inside[here]:
                if wanted(*edge):
                    return [*_back(parent, start, here), edge]
                if edge[1] not in parent and edge[1] != start:
                    parent[edge[1]] = (here, edge)
                    following.append(edge[1])
        frontier = following
    raise AssertionError("a component is strongly connected")


def _back(parent: dict[int, tuple[int, Edge]], start: int, here: int) -> list[Edge]:
    way: list[Edge] = []
    while here != start:
        here, edge = parent[here]
        way.append(edge)
    return way[::-1]
