"""The simulated KV cache against the engine's own block manager, block for block."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtpo.engine.cache import BlockManager
from mtpo.schedulers.simulator.kv import Holding, KVError, PrefixCache, runs_of
from mtpo.schedulers.traces.workload import Piece

TOTAL = 24
# Sequences that share beginnings, of blocks of one token: a tag stands for all before it.
CONTENTS = [
    [Piece(1, 4), Piece(2, 9)],
    [Piece(1, 4), Piece(3, 6)],
    [Piece(1, 4), Piece(2, 3), Piece(4, 7)],
    [Piece(1, 2), Piece(5, 8)],
    [Piece(6, 12)],
    [],
]


def tokens_of(content: list[Piece], length: int, unique: int) -> list[int]:
    """Tokens such that two sequences are equal as far as their pieces are."""
    tokens = [piece.tag * 100 + at for piece in content for at in range(piece.tokens)]
    return (tokens + [1000 * unique + at for at in range(length)])[:length]


class Both:
    """The same operations on both, and what can be seen of them compared after each."""

    def __init__(self) -> None:
        self.ours, self.theirs = PrefixCache(TOTAL), BlockManager(TOTAL, 1)
        self.holdings: dict[int, Holding] = {}
        self.tokens: dict[int, list[int]] = {}
        self.waiting: dict[int, Holding] = {}

    def wait(self, id: int, content: list[Piece], length: int) -> None:
        # What is shared with nobody has a tag of its own: it is published and cached too, and evicted in its turn.
        holding = Holding(id, runs_of([*content, Piece(1000 + id, length)], 1), limit=length - 1)
        self.tokens[id] = tokens_of(content, length, id)
        self.waiting[id] = holding
        self.ours.watch(holding)

    def admit(self, id: int) -> None:
        holding = self.waiting.pop(id)
        found = self.theirs.match(self.tokens[id][:-1])
        for block in found:
            self.theirs.share(id, block)
        self.theirs.tables.setdefault(id, [])
        self.holdings[id] = holding
        assert self.ours.admit(holding) == len(found)

    def compute(self, id: int, blocks: int) -> None:
        holding, table = self.holdings[id], self.theirs.tables[id]
        blocks = min(blocks, len(self.tokens[id]) - len(table))
        if blocks > self.ours.available:
            with pytest.raises(KVError):
                self.ours.allocate(holding, blocks)
            return
        self.ours.allocate(holding, blocks)
        before = len(table)
        for _ in range(blocks):
            self.theirs.allocate(id)
        self.ours.publish(holding, len(table))
        for at in range(before, len(table)):
            self.theirs.fill(id, table[at])
            self.theirs.publish(id, at, [self.tokens[id][at]])

    def release(self, id: int) -> None:
        self.ours.release(self.holdings.pop(id))
        self.theirs.release(id)

    def compare(self) -> None:
        self.ours.check()
        ours, theirs = self.ours, self.theirs
        assert (ours.free, ours.cached) == (len(theirs.free), len(theirs.cached))
        for id, holding in self.holdings.items():
            table = theirs.tables[id]
            assert holding.blocks == len(table)
            assert holding.shared == sum(theirs.references[block] > 1 for block in table)
        for holding in [one for one in ours.changed if one.id in self.waiting]:
            ours.watch(holding)
        ours.changed.clear()
        for id, holding in self.waiting.items():
            found = theirs.match(self.tokens[id][:-1])
            assert holding.found == len(found)
            assert holding.cached == sum(theirs.references[block] == 0 for block in found)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 5), st.integers(1, 13)), max_size=60))
def test_as_the_block_manager_of_the_engine(operations: list[tuple[int, int, int]]) -> None:
    both, number = Both(), 0
    for what, which, size in operations:
        if what <= 1:
            both.wait(number, CONTENTS[which], size)
            number += 1
        elif what <= 3 and both.waiting:
            both.admit(sorted(both.waiting)[which % len(both.waiting)])
        elif what <= 5 and both.holdings:
            both.compute(sorted(both.holdings)[which % len(both.holdings)], size)
        elif what >= 6 and both.holdings:
            both.release(sorted(both.holdings)[which % len(both.holdings)])
        both.compare()
    for id in list(both.holdings):
        both.release(id)
        both.compare()
    assert both.ours.available == TOTAL


def test_a_block_belongs_to_the_piece_of_its_last_token() -> None:
    assert runs_of([Piece(1, 30), Piece(2, 1), Piece(3, 1), Piece(4, 40)], 16) == ((1, 1), (3, 2), (4, 4))
    assert runs_of([Piece(1, 15)], 16) == ()


def test_the_least_recently_released_goes_first_and_from_its_end() -> None:
    cache = PrefixCache(10)
    old, new = Holding(0, ((1, 4),), limit=4), Holding(1, ((2, 4),), limit=4)
    for one in (old, new):
        cache.admit(one)
        cache.allocate(one, 4)
        cache.publish(one, 4)
    cache.release(old)
    cache.release(new)
    third = Holding(2, ())
    cache.admit(third)
    cache.allocate(third, 5)
    assert cache.evicted == 3 and (cache.free, cache.cached) == (0, 5)
    cache.watch(old)
    cache.watch(new)
    assert (old.found, new.found) == (1, 4)


def test_a_full_cache_says_so_and_changes_nothing() -> None:
    cache = PrefixCache(4)
    one = Holding(0, ())
    cache.admit(one)
    cache.allocate(one, 3)
    with pytest.raises(KVError, match="1 blocks of 4 are missing"):
        cache.allocate(one, 2)
    assert (one.private, cache.free) == (3, 1)


def test_what_is_forgotten_goes_up_to_where_others_go_on() -> None:
    cache = PrefixCache(TOTAL)
    mine, other, held = ([Piece(1, 4), Piece(2, 9)], [Piece(1, 4), Piece(3, 6)], [Piece(6, 4)])
    runs = []
    for id, content in enumerate((mine, other, held)):
        length = sum(piece.tokens for piece in content)
        holding = Holding(id, runs_of(content, 1), length)
        runs.append(holding.runs)
        taken = cache.admit(holding)
        cache.allocate(holding, length - taken)
        cache.publish(holding, length)
        if content is not held:
            cache.release(holding)
    waits = Holding(9, runs[0], 12)
    cache.watch(waits)
    assert (waits.found, cache.free) == (12, 1)
    # Both begin with four blocks, which stay while one of them is there; what is held stays, too.
    assert cache.forget(runs[0]) == 9 and waits in cache.changed
    cache.watch(waits)
    assert (waits.found, cache.free) == (4, 10)
    assert cache.forget(runs[2]) == 0
    assert cache.forget(runs[1]) == 10 and cache.forget(runs[1]) == 0 and cache.forget(()) == 0
    cache.unwatch(waits)
    cache.check()
    assert (cache.free, cache.cached, cache.used) == (20, 0, 4)
