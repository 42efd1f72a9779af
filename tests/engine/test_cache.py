"""The block manager under random use, followed by the spec; planted bugs, each caught by the property it breaks."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mtpo.engine.cache import BlockManager
from mtpo.engine.errors import EngineError
from mtpo.engine.monitor import KVMonitor, MonitorViolation

SIZE = 2


class Owner:
    """A sequence that is computed block by block."""

    def __init__(self, tokens):
        self.tokens, self.computed = tokens, 0


class Use(RuleBasedStateMachine):
    """Sequences over a tiny alphabet, so that prefixes are shared often, on a tiny pool, so that eviction is common."""

    def __init__(self):
        super().__init__()
        self.manager = BlockManager(7, SIZE)
        self.monitor = KVMonitor(self.manager, 4)
        self.owners = {}

    @precondition(lambda self: len(self.owners) < 4)
    @rule(tokens=st.lists(st.integers(0, 1), min_size=1, max_size=9))
    def admit(self, tokens):
        id = min(set(range(4)) - self.owners.keys())
        owner = self.owners[id] = Owner(tokens)
        for block in self.manager.match(tokens[:-1]):
            self.manager.share(id, block)
            owner.computed += SIZE

    @precondition(lambda self: self.owners)
    @rule(data=st.data(), tokens=st.integers(1, 5))
    def compute(self, data, tokens):
        id = data.draw(st.sampled_from(sorted(self.owners)))
        owner = self.owners[id]
        stop = min(owner.computed + tokens, len(owner.tokens))
        need = -(-stop // SIZE) - len(self.manager.tables.get(id, ()))
        if stop == owner.computed or need > self.manager.available:
            return
        for _ in range(need):
            self.manager.allocate(id)
        self.manager.listener("begin", id)
        full = range(owner.computed // SIZE, stop // SIZE)
        for position in full:
            self.manager.fill(id, self.manager.tables[id][position])
        self.manager.listener("complete", id)
        for position in full:
            self.manager.publish(id, position, owner.tokens[position * SIZE : (position + 1) * SIZE])
        owner.computed = stop

    @precondition(lambda self: self.owners)
    @rule(data=st.data())
    def release(self, data):
        id = data.draw(st.sampled_from(sorted(self.owners)))
        del self.owners[id]
        self.manager.release(id)

    @invariant()
    def follows_the_spec(self):
        self.monitor.check()
        assert not self.monitor.instance.violated(self.monitor.state)


TestUse = Use.TestCase
TestUse.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_a_hit_is_a_hit_of_the_whole_prefix():
    manager = BlockManager(8, SIZE)
    KVMonitor(manager, 4)
    for _ in range(3):
        manager.allocate(0)
    manager.listener("begin", 0)
    for block in manager.tables[0]:
        manager.fill(0, block)
    manager.listener("complete", 0)
    for position, tokens in enumerate(([1, 2], [3, 4], [5, 6])):
        assert manager.publish(0, position, tokens)
    assert len(manager.match([1, 2, 3, 4, 9, 9])) == 2
    assert manager.match([3, 4, 5, 6]) == []
    manager.release(0)
    assert manager.available == 8 and len(manager.match([1, 2, 3, 4, 5, 6])) == 3
    manager.evict()
    assert len(manager.match([1, 2, 3, 4, 5, 6])) == 2, "the end of the chain goes first"


def test_an_exhausted_pool_says_so():
    manager = BlockManager(2, SIZE)
    manager.allocate(0), manager.allocate(0)
    with pytest.raises(EngineError, match="2 blocks, none free"):
        manager.allocate(1)


def used(manager):
    """Owner 0 with two full blocks, the first published; owner 1 with one block, not full."""
    manager.allocate(0), manager.allocate(0), manager.allocate(1)
    manager.listener("begin", 0)
    for block in manager.tables[0]:
        manager.fill(0, block)
    manager.listener("complete", 0)
    manager.publish(0, 0, [1, 2])


def double_free(manager):
    manager.free.append(manager.tables[0][1])


def double_release(manager):
    block = manager.tables[0][1]
    manager.listener("release", 0, block)
    manager.listener("release", 0, block)
    manager.free.append(block)


def reuse_in_flight(manager):
    manager.listener("begin", 0)
    manager.release(0)


def publish_before_compute(manager):
    manager.publish(1, 0, [7, 8])


def leaked_reference(manager):
    manager.references[manager.tables[0][0]] += 1


def share_unpublished(manager):
    manager.share(2, manager.tables[1][0])


def lost_block(manager):
    manager.free.pop()


def evict_in_use(manager):
    manager.cached[manager.tables[0][0]] = None
    manager.evict()


def forgotten_release(manager):
    del manager.tables[1]


def swapped_table(manager):
    manager.tables[0].reverse()


def fill_of_another(manager):
    manager.listener("begin", 1)
    manager.fill(1, manager.tables[0][1])


def publish_without_prefix(manager):
    manager.allocate(1)
    manager.listener("begin", 1)
    for block in manager.tables[1]:
        manager.fill(1, block)
    manager.listener("complete", 1)
    manager.listener("publish", manager.tables[1][1])


@pytest.mark.parametrize(
    ("bug", "property"),
    [
        (double_free, "kv.free-xor-owned"),
        (double_release, "kv.release.last"),
        (reuse_in_flight, "kv.no-reuse-in-flight"),
        (publish_before_compute, "kv.published-is-computed"),
        (leaked_reference, "kv.no-double-owner"),
        (share_unpublished, "kv.no-double-owner"),
        (lost_block, "kv.conservation"),
        (evict_in_use, "kv.eviction-only-unreferenced"),
        (forgotten_release, "kv.conservation"),
        (publish_without_prefix, "kv.prefix-closed"),
        (swapped_table, "kv.one-chain"),
    ],
)
def test_planted_bugs_are_caught_by_what_they_break(bug, property):
    manager = BlockManager(8, SIZE)
    monitor = KVMonitor(manager, 4)
    used(manager)
    monitor.check()
    with pytest.raises(MonitorViolation) as caught:
        bug(manager)
        monitor.check()
    assert caught.value.property == property, str(caught.value)
    assert "block" in str(caught.value)


def test_a_fill_of_anothers_block_names_the_clause():
    manager = BlockManager(8, SIZE)
    KVMonitor(manager, 4)
    manager.allocate(0), manager.allocate(1)
    manager.listener("begin", 1)
    with pytest.raises(MonitorViolation, match=r"kv\.(write-exclusive|fill\.own)"):
        manager.fill(1, manager.tables[0][0])


def test_counting_goes_on():
    manager = BlockManager(8, SIZE)
    monitor = KVMonitor(manager, 4, "count")
    used(manager)
    lost_block(manager)
    monitor.check()
    monitor.check()
    assert monitor.violations["kv.conservation"] >= 2
