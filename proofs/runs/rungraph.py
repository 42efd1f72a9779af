"""The dependency graph of a run's agents, inferred from what survived it, and the search for a cycle in it.

Isolation checking in the manner of Adya (1999) and Elle (Kingsbury and Alvaro, VLDB 2020): an agent is a transaction,
a version order per object is the order in which the surviving writes took effect, and three kinds of dependency follow
from it and from what every agent read: ww (overwrote), wr (read what the other left), rw (read what the other then
overwrote). The order that the run claims plays no part in it. Listings are objects, so phantoms are rw dependencies.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Literal

import attrs

from mtpo.proofs.runs.runform import Key, name_of
from mtpo.proofs.runs.runstate import Operation, Trajectories, Version

Place = tuple[str, Key]


@attrs.frozen
class Edge:
    """The agent of ``first`` comes before that of ``then`` in every serial order, because of ``object``."""

    kind: Literal["ww", "wr", "rw"]
    object: str
    first: Key
    then: Key

    def sentence(self, names: Sequence[str]) -> str:
        """The dependency in words: ``A read deploy/geo.yaml (0.1) before B's write 1.2 of it``."""
        a, b, o = names[self.first[0]], names[self.then[0]], self.object
        match self.kind:
            case "ww":
                return f"{b}'s write {name_of(self.then)} of {o} replaced {a}'s write {name_of(self.first)}"
            case "wr":
                return f"{b} read {o} ({name_of(self.then)}) as {a}'s write {name_of(self.first)} had left it"
            case "rw":
                return f"{a} read {o} ({name_of(self.first)}) before {b}'s write {name_of(self.then)} of it"


@attrs.frozen
class Premise:
    """What an author goes by: call ``key`` read ``object`` with ``digest``, by its record from ``write``."""

    key: Key
    object: str
    digest: str
    write: Key | None


@attrs.frozen
class Graph:
    """``edges``: one for each ordered pair of agents that depend on each other; ``orphans``: premises whose value no
    surviving write left."""

    edges: Mapping[int, Mapping[int, Edge]]
    orphans: tuple[Premise, ...]

    def all(self) -> Iterator[Edge]:
        """Every edge."""
        for after in self.edges.values():
            yield from after.values()


def premises_of(operations: Iterable[Operation], ranks: frozenset[int], failures: bool) -> Iterator[Premise]:
    """The premises of the agents in ``ranks``: of reads, live writes and, with ``failures``, of failed calls."""
    phases = ("read", "live", "failed") if failures else ("read", "live")
    for operation in operations:
        if operation.key[0] in ranks and operation.phase in phases:
            for o, digest in operation.held.items():
                yield Premise(operation.key, o, digest, operation.saw[o][0] if o in operation.saw else None)


def graph_of(world: Trajectories, ranks: frozenset[int], premises: Iterable[Premise], claims: bool) -> Graph:
    """The graph over the agents in ``ranks``. Linear in the surviving writes and the premises.

    Where two surviving writes left equal values, a premise is taken to come from the one at the reader's position if
    the run claims positions (``claims``), else from the one that its record names: a reader can't tell them apart.
    """
    edges: dict[int, dict[int, Edge]] = {}
    places: dict[Place, int] = {}
    by_value: dict[tuple[str, str], Key | None] = {}
    versions: dict[str, list[Key]] = {}

    def add(edge: Edge) -> None:
        if edge.first[0] != edge.then[0]:
            edges.setdefault(edge.first[0], {}).setdefault(edge.then[0], edge)

    for o, physical in world.physical.items():
        order = versions[o] = [key for key in physical if key[0] in ranks]
        for place, key in enumerate(order):
            places[o, key] = place
            by_value[o, world.version(key, o)[1]] = key

    def source(p: Premise) -> Version | None:
        def good(version: Version) -> bool:
            write, digest = version
            return digest == p.digest and (write is None or (p.object, write) in places)

        if claims and good(at := world.below(p.key, p.object)):
            return at
        if (p.write is None or (p.object, p.write) in places) and good(named := world.version(p.write, p.object)):
            return named
        if good(initial := world.start(p.object)):
            return initial
        write = by_value.get((p.object, p.digest))
        return None if write is None else (write, p.digest)

    orphans = []
    for p in premises:
        found = source(p)
        if found is None:
            orphans.append(p)
            continue
        write, order = found[0], versions.get(p.object, [])
        place = -1 if write is None else places[p.object, write]
        if write is not None:
            add(Edge("wr", p.object, write, p.key))
        if place + 1 < len(order):
            add(Edge("rw", p.object, p.key, order[place + 1]))
    for o, order in versions.items():  # last: where reads explain a dependency, they say more than the overwriting
        for before, after in pairwise(order):
            add(Edge("ww", o, before, after))
    return Graph(edges, tuple(orphans))


def cycles_of(graph: Graph) -> list[tuple[Edge, ...]]:
    """A shortest cycle through the least agent of every strongly connected component that has one."""
    return [_shortest(graph.edges, component) for component in _components(graph.edges) if len(component) > 1]


def anomaly(cycle: Sequence[Edge]) -> str:
    """What the textbooks call a cycle."""
    anti = [edge for edge in cycle if edge.kind == "rw"]
    if not anti:
        return "dirty write (G0)" if all(e.kind == "ww" for e in cycle) else "circular information flow (G1c)"
    if len(cycle) == 2 and len({e.object for e in cycle}) == 1 and any(e.kind == "ww" for e in cycle):
        return "lost update"
    listing = "phantom, " if any(edge.object.endswith("/") for edge in anti) else ""
    return listing + ("read skew (G-single)" if len(anti) == 1 else "write skew (G2)")


def _components(edges: Mapping[int, Mapping[int, Edge]]) -> list[frozenset[int]]:
    """Strongly connected components (Kosaraju, without recursion)."""
    nodes = sorted(edges.keys() | {b for after in edges.values() for b in after})
    back: dict[int, list[int]] = {node: [] for node in nodes}
    for a, after in edges.items():
        for b in after:
            back[b].append(a)
    order: list[int] = []
    seen: set[int] = set()
    for root in nodes:
        if root in seen:
            continue
        seen.add(root)
        stack = [(root, iter(edges.get(root, {})))]
        while stack:
            node, rest = stack[-1]
            step = next((b for b in rest if b not in seen), None)
            if step is None:
                order.append(node)
                stack.pop()
            else:
                seen.add(step)
                stack.append((step, iter(edges.get(step, {}))))
    found, placed = [], set[int]()
    for root in reversed(order):
        if root in placed:
            continue
        component, todo = {root}, [root]
        placed.add(root)
        while todo:
            for a in back[todo.pop()]:
                if a not in placed:
                    placed.add(a)
                    component.add(a)
                    todo.append(a)
        found.append(frozenset(component))
    return found


def _shortest(edges: Mapping[int, Mapping[int, Edge]], component: frozenset[int]) -> tuple[Edge, ...]:
    root = min(component)
    came: dict[int, Edge] = {}
    queue = deque([root])
    while queue:
        for b, edge in edges.get(queue.popleft(), {}).items():
            if b in component and b not in came:
                came[b] = edge
                queue.append(b)
        if root in came:
            break
    path = [came[root]]
    while path[-1].first[0] != root:
        path.append(came[path[-1].first[0]])
    return tuple(reversed(path))
