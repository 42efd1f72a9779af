"""The paged KV cache: proven for any number of blocks and requests, explored at a small size, and read by example."""

from __future__ import annotations

import pytest

pytest.importorskip("z3")

from mtpo.proofs.exploration.explore import explore
from mtpo.proofs.induction.inductive import prove
from mtpo.proofs.verdicts import Status
from mtpo.spec.concrete import Instance, Step
from mtpo.spec.paged_kv import Block, Request, kv

PROVEN = {
    "kv.free-xor-owned",
    "kv.conservation",
    "kv.no-double-owner",
    "kv.published-is-computed",
    "kv.prefix-closed",
    "kv.prefix-computed",
    "kv.one-chain",
    "kv.no-reuse-in-flight",
    "kv.write-exclusive",
    "kv.eviction-only-unreferenced",
    "kv.content-stable",
    "kv.fresh-when-allocated",
}


def test_every_property_is_inductive_for_any_number_of_blocks_and_requests():
    verdicts = {v.property: v.status for v in prove(kv)}
    assert verdicts.keys() >= PROVEN
    assert {id for id, status in verdicts.items() if status is not Status.PROVED} == set()


def test_every_action_is_taken_and_nothing_is_violated_at_a_small_size():
    seen = explore(Instance(kv, {Block: 2, Request: 2}))
    assert seen.complete
    assert set(seen.taken) == set(kv.actions) and all(seen.taken.values())
    assert not [v for v in seen.verdicts if v.status is Status.FAILED]


def story(*steps):
    """The state after steps that are all allowed."""
    instance = Instance(kv, {Block: 3, Request: 2})
    state = instance.initial()
    for action, *args in steps:
        step = Step(action, tuple(args))
        assert not instance.refused(state, step), step
        instance.perform(state, step)
        assert not instance.violated(state)
    return instance, state


COMPUTED = (("allocate_first", 0, 0), ("allocate", 0, 1, 0), ("begin", 0), ("fill", 0, 0), ("fill", 0, 1))
PUBLISHED = (*COMPUTED, ("complete", 0), ("publish", 0), ("publish", 1))


@pytest.mark.parametrize(
    ("steps", "refused", "clause"),
    [
        (COMPUTED, ("release", 0, 1), "kv.release.not-in-flight"),
        (COMPUTED, ("allocate_first", 1, 0), "kv.allocate_first.free"),
        (COMPUTED, ("share", 1, 0), "kv.share.published"),
        (COMPUTED, ("publish", 1), "kv.publish.prefix-published"),
        (COMPUTED[:3], ("publish", 0), "kv.publish.computed"),
        (COMPUTED[:3], ("fill", 0, 1), "kv.fill.in-order"),
        (COMPUTED[:2], ("fill", 0, 0), "kv.fill.in-flight"),
        (PUBLISHED, ("evict", 1), "kv.evict.unowned"),
        (PUBLISHED, ("share", 1, 1), "kv.share.whole-prefix"),
        (PUBLISHED, ("release", 0, 0), "kv.release.last"),
        ((*PUBLISHED, ("release", 0, 1), ("release", 0, 0)), ("evict", 0), "kv.evict.leaf"),
    ],
)
def test_what_is_refused_and_by_which_clause(steps, refused, clause):
    instance, state = story(*steps)
    action, *args = refused
    assert clause in [c.id for c in instance.refused(state, Step(action, tuple(args)))]


def test_a_prefix_outlives_its_owner_and_is_shared_then_evicted():
    released = (*PUBLISHED, ("release", 0, 1), ("release", 0, 0))
    instance, state = story(*released, ("share", 1, 0), ("share", 1, 1))
    assert instance.value(state, "owned", 1, 1) and not instance.value(state, "owned", 0, 1)
    instance, state = story(*released, ("evict", 1), ("evict", 0))
    assert all(instance.value(state, "free", block) for block in range(3))
