"""The paged KV cache of one simulated worker: who holds how many blocks, what prefixes are cached, what is evicted.

It behaves as the engine's block manager does, block for block, but keeps runs of blocks: a tree whose nodes are runs
that always have the same holders. ::

    root ── tag 7, 32 blocks, held by 2 ─┬─ tag 9, 12 blocks, held by 1
                                         └─ tag 4, 20 blocks, cached (held by none)

Holders of a node hold every node above it, so references never grow along a path, and the blocks held by none are ends
of paths: evicting the least recently released run from its end never cuts a chain. Blocks that are not full, not
shared with anybody, or equal to a block that is in the tree already, are *private*: counted, without identity.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import attrs

from mtpo.schedulers.traces.workload import Piece

Runs = tuple[tuple[int, int], ...]
"""What a sequence consists of: tags, each with the number of whole blocks up to the end of its piece."""

_ROOT: Final = -1


class KVError(ValueError):
    """The cache can't do what it was asked for: a policy overbooked it."""


def runs_of(content: Sequence[Piece], block_size: int) -> Runs:
    """The whole blocks of some content; a block belongs to the piece of its last token."""
    found: list[tuple[int, int]] = []
    tokens = 0
    for piece in content:
        before = tokens // block_size
        tokens += piece.tokens
        if tokens // block_size > before:
            found.append((piece.tag, tokens // block_size))
    return tuple(found)


@attrs.define(eq=False)
class _Node:
    tag: int
    length: int
    parent: _Node | None
    references: int = 0
    holders: int = 0
    """The sum of the ids of its holders: with one reference, the holder's id."""
    children: dict[int, _Node] = attrs.Factory(dict)
    watchers: set[Holding] = attrs.Factory(set)


@attrs.define(eq=False)
class Holding:
    """One sequence: what it holds or, while it waits, what the cache has for it.

    ``runs`` its whole blocks. ``limit``: of these, at most so many may be taken from the cache (its last token has to
    be computed). Held: ``tree`` blocks in the tree, ``shared`` of them with others too, and ``private`` ones.
    Waiting: the cache has ``found`` blocks, ``cached`` of them held by nobody.
    """

    id: int
    runs: Runs
    limit: int = 0
    tree: int = 0
    private: int = 0
    shared: int = 0
    found: int = 0
    cached: int = 0
    at: int = 0
    """Index in ``runs`` of the next block to publish."""
    publishing: bool = True
    tail: _Node | None = None
    places: list[set[Holding]] = attrs.Factory(list)

    @property
    def blocks(self) -> int:
        """Blocks that it holds."""
        return self.tree + self.private


class PrefixCache:
    """``total`` blocks. Ids of holdings are unique among those that hold something.

    ``changed`` collects the holdings whose ``shared`` (held) or ``found`` and ``cached`` (waiting, see :meth:`watch`)
    may have changed; whoever reads it empties it.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.free = total
        self.cached = 0
        """Blocks in the tree that nobody holds."""
        self.evicted = 0
        self.changed: set[Holding] = set()
        self._root = _Node(_ROOT, 0, None, references=1)
        self._lru: OrderedDict[_Node, None] = OrderedDict()
        self._held: dict[int, Holding] = {}
        self._wanted: dict[int, set[Holding]] = {}

    @property
    def available(self) -> int:
        """Blocks that can be allocated, cached ones that would be evicted included."""
        return self.free + self.cached

    @property
    def used(self) -> int:
        """Blocks that somebody holds."""
        return self.total - self.free - self.cached

    # -- those who wait ----------------------------------------------------------------------------------------

    def watch(self, holding: Holding) -> None:
        """Find what the cache has for a waiting sequence, and notice from now on when that may have changed."""
        self.unwatch(holding)
        found, held, last, node = 0, 0, self._root, self._root
        boundary: _Node | None = None
        runs, at = holding.runs, 0
        while found < holding.limit and at < len(runs):
            tag, end = runs[at]
            below = node.children.get(tag)
            if below is None:
                self._place(holding, self._wanted.setdefault(tag, set()))
                break
            taken = min(below.length, end - found, holding.limit - found)
            found += taken
            if below.references:
                held, last = found, below
            elif boundary is None:
                boundary = below
            node = below
            if taken < below.length:
                break
            at += found == end
        # What it finds can change only where its prefix ends, grows on, or where holding ends.
        for place in {node, last, boundary} - {None, self._root}:
            assert place is not None
            self._place(holding, place.watchers)
        holding.found, holding.cached = found, found - held

    def unwatch(self, holding: Holding) -> None:
        """Stop noticing."""
        for place in holding.places:
            place.discard(holding)
        holding.places.clear()
        self.changed.discard(holding)

    def _place(self, holding: Holding, place: set[Holding]) -> None:
        place.add(holding)
        holding.places.append(place)

    # -- those who hold ----------------------------------------------------------------------------------------

    def admit(self, holding: Holding) -> int:
        """Take what the cache has for a sequence; returns how many blocks that is."""
        self.watch(holding)
        self.unwatch(holding)
        self._held[holding.id] = holding
        node, taken, at = self._root, 0, 0
        while taken < holding.found:
            tag, end = holding.runs[at]
            node = node.children[tag]
            wanted = min(end, holding.found) - taken
            if wanted < node.length:
                node = self._split(node, wanted)
            taken += node.length
            if taken == end:
                at += 1
            self._take(node, holding)
        holding.tree, holding.private, holding.at, holding.publishing = taken, 0, at, True
        holding.tail = node
        return taken

    def _take(self, node: _Node, holding: Holding) -> None:
        if node.references == 0:
            self._lru.pop(node, None)
            self.cached -= node.length
            self.changed |= node.watchers
        elif node.references == 1:
            self._share(node, node.length)
        if node.references:
            holding.shared += node.length
        node.references += 1
        node.holders += holding.id

    def _share(self, node: _Node, blocks: int) -> None:
        """Blocks of the only holder of a node are shared, or no longer."""
        owner = self._held[node.holders]
        owner.shared += blocks
        self.changed.add(owner)

    def _split(self, lower: _Node, length: int) -> _Node:
        """Make a node of the first blocks of a run, above the rest. Holders keep their ends."""
        assert lower.parent is not None
        upper = _Node(lower.tag, length, lower.parent, lower.references, lower.holders, {lower.tag: lower})
        upper.parent.children[upper.tag] = upper  # type: ignore[union-attr]
        lower.parent, lower.length = upper, lower.length - length
        self.changed |= lower.watchers
        return upper

    def allocate(self, holding: Holding, blocks: int) -> None:
        """So many fresh blocks for a holder; evicts what it takes. Raises :class:`KVError`, having done nothing."""
        self.take(blocks)
        holding.private += blocks

    def take(self, blocks: int) -> None:
        """The same for holders that are told of it later, in their ``private``."""
        if blocks > self.free:
            self._evict(blocks - self.free)
        self.free -= blocks

    def _evict(self, blocks: int) -> None:
        if blocks > self.cached:
            raise KVError(f"the KV cache is full: {blocks - self.cached} blocks of {self.total} are missing")
        self.cached -= blocks
        self.free += blocks
        self.evicted += blocks
        while blocks:
            node = next(iter(self._lru))
            gone = min(blocks, node.length)
            node.length -= gone
            blocks -= gone
            self.changed |= node.watchers
            if not node.length:
                assert node.parent is not None and not node.children
                del self._lru[node], node.parent.children[node.tag]

    def publish(self, holding: Holding, full: int) -> None:
        """Let others find the first ``full`` blocks of a holder, all computed."""
        while holding.publishing and holding.tree < full and holding.at < len(holding.runs):
            tag, end = holding.runs[holding.at]
            blocks = min(end, full) - holding.tree
            tail = holding.tail
            assert tail is not None
            if tag in tail.children:
                # Somebody computed the same at the same time: this copy, and all that follows it, stays private.
                holding.publishing = False
                return
            if tail.tag == tag and tail.references == 1 and not tail.children and tail is not self._root:
                tail.length += blocks
            else:
                holding.tail = tail.children[tag] = _Node(tag, blocks, tail, 1, holding.id)
            holding.tree += blocks
            holding.private -= blocks
            if holding.tree == end:
                holding.at += 1
            self.changed |= self._wanted.get(tag, set())

    def release(self, holding: Holding) -> None:
        """Give up everything; what is published stays cached, until it is evicted."""
        node = holding.tail
        while node is not None and node is not self._root:
            node.references -= 1
            node.holders -= holding.id
            if node.references == 0:
                self._lru[node] = None
                self.cached += node.length
                self.changed |= node.watchers
            elif node.references == 1:
                self._share(node, -node.length)
            node = node.parent
        self.free += holding.private
        holding.tree = holding.private = holding.shared = 0
        holding.tail = None
        self._held.pop(holding.id, None)
        self.changed.discard(holding)

    def forget(self, runs: Runs) -> int:
        """Drop what is cached of a sequence, from its end up to where others go on from it, or hold it. Returns how
        many blocks came free."""
        probe = Holding(-1, runs, runs[-1][1] if runs else 0)
        self.admit(probe)
        node, before = probe.tail, self.free
        self.release(probe)
        while node is not None and node is not self._root and not (node.references or node.children):
            above = node.parent
            assert above is not None
            self.changed |= node.watchers
            del self._lru[node], above.children[node.tag]
            self.cached -= node.length
            self.free += node.length
            node = above
        return self.free - before

    # -- invariants --------------------------------------------------------------------------------------------

    def check(self) -> None:
        """That the books agree with the tree: no block lost or doubled. For tests; linear in the tree."""
        cached = held = 0
        shared: dict[int, int] = {}
        on_path: dict[_Node, list[int]] = {}
        for holding in self._held.values():
            total, node = 0, holding.tail
            while node is not None and node is not self._root:
                on_path.setdefault(node, []).append(holding.id)
                total, node = total + node.length, node.parent
            assert total == holding.tree and holding.private >= 0, holding
        stack = [*self._root.children.values()]
        while stack:
            node = stack.pop()
            ids = on_path.get(node, [])
            assert node.length > 0 and node.references == len(ids) and node.holders == sum(ids), node.tag
            assert (node in self._lru) == (not ids)
            if ids:
                held += node.length
                assert node.parent is self._root or node.parent in on_path
                if len(ids) > 1:
                    for id in ids:
                        shared[id] = shared.get(id, 0) + node.length
            else:
                cached += node.length
            assert all(below.parent is node and tag == below.tag for tag, below in node.children.items())
            stack += node.children.values()
        private = sum(holding.private for holding in self._held.values())
        assert all(holding.shared == shared.get(holding.id, 0) for holding in self._held.values())
        assert cached == self.cached and self.free >= 0
        assert self.free + cached + held + private == self.total
