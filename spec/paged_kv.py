"""Paged KV cache: blocks, their owners, and the sharing of prefixes.

The keys and values of a request live in blocks of fixed size, listed in its block table (PagedAttention, SOSP 2023). A
block is free, or owned by at least one request, or cached: published under the hash of its whole prefix and owned by
nobody. An owner is a request or a conversation that is kept between turns. A table is a chain: each block but the first
has the block before it as ``prev``. A step of the engine is in flight from ``begin`` to ``complete``; what it reads and
writes must not be reused meanwhile. How many owners a block has is the size of a relation here; an engine counts them,
and its monitor compares.
"""

from __future__ import annotations

from typing import Final

from mtpo.spec.language import Bool, Sort, Spec, conj, exists, forall, implies, require

kv: Final = Spec("kv", __doc__)


class Block(Sort):
    """a physical block"""


class Request(Sort):
    """an owner: a request, or a conversation between turns"""


owned = kv.var("owned", Request, Block, init=lambda r, b: False, doc="the block is in the owner's table")
free = kv.var("free", Block, init=lambda b: True, doc="the block may be allocated")
computed = kv.var("computed", Block, init=lambda b: False, doc="every slot of the block has its keys and values")
published = kv.var("published", Block, init=lambda b: False, doc="the prefix cache finds the block")
first = kv.var("first", Block, init=lambda b: True, doc="the block begins its chain")
prev = kv.var("prev", Block, to=Block, init=lambda b: b, doc="the block before it in its chain, unless it is the first")
running = kv.var("running", Request, init=lambda r: False, doc="a step that reads and writes its blocks is in flight")


def unowned(b: Block) -> Bool:
    """Nobody owns the block."""
    return forall(Request, lambda r: ~owned(r, b))


def extends(r: Request, b: Block, p: Block) -> Bool:
    """p is the last block of r's table."""
    return owned(r, p) & forall(Block, lambda c: implies(owned(r, c) & ~first(c), prev(c) != p))


def empty(r: Request) -> Bool:
    """r's table is empty."""
    return forall(Block, lambda c: ~owned(r, c))


# -- actions -------------------------------------------------------------------------------------------------------


@kv.action
def allocate_first(r: Request, b: Block) -> None:
    "A free block begins the table of r."
    require("free", free(b))
    require("empty", empty(r))
    owned[r, b] = True
    free[b] = False
    first[b] = True


@kv.action
def allocate(r: Request, b: Block, p: Block) -> None:
    "A free block is appended to the table of r, after p."
    require("free", free(b))
    require("after-last", extends(r, b, p))
    owned[r, b] = True
    free[b] = False
    first[b] = False
    prev[b] = p


@kv.action
def share(r: Request, b: Block) -> None:
    "A cached block is appended to the table of r: the prefix up to its end is r's too."
    require("published", published(b))
    require(
        "whole-prefix",
        (first(b) & empty(r)) | (~first(b) & extends(r, b, prev(b))),
    )
    owned[r, b] = True


@kv.action
def begin(r: Request) -> None:
    "A step that uses the blocks of r is launched."
    require("idle", ~running(r))
    running[r] = True


@kv.action
def fill(r: Request, b: Block) -> None:
    "The step in flight writes the last slot of a block."
    require("in-flight", running(r))
    require("own", owned(r, b))
    require("not-full", ~computed(b))
    require("in-order", first(b) | computed(prev(b)))
    computed[b] = True


@kv.action
def complete(r: Request) -> None:
    "The step that uses the blocks of r is done."
    require("in-flight", running(r))
    running[r] = False


@kv.action
def publish(b: Block) -> None:
    "A full block enters the prefix cache, after the block before it."
    require("new", ~published(b))
    require("computed", computed(b))
    require("prefix-published", first(b) | published(prev(b)))
    published[b] = True


@kv.action
def release(r: Request, b: Block) -> None:
    "r gives up the last block of its table: at its end, at preemption, at abort."
    require("not-in-flight", ~running(r))
    require("last", extends(r, b, b))
    owned[r, b] = False
    others = exists(Request, lambda q: (q != r) & owned(q, b))
    free[b] = ~others & ~published(b)
    computed[b] = computed(b) & (others | published(b))


@kv.action
def evict(b: Block) -> None:
    "A cached block that nobody owns and nothing cached extends is given back."
    require("published", published(b))
    require("unowned", unowned(b))
    require("leaf", forall(Block, lambda c: implies(published(c) & ~first(c), prev(c) != b)))
    published[b] = False
    computed[b] = False
    free[b] = True


# -- properties ----------------------------------------------------------------------------------------------------


@kv.invariant("kv.free-xor-owned")
def free_xor_owned() -> Bool:
    "A free block has no owner and is not cached."
    return forall(Block, lambda b: implies(free(b), unowned(b) & ~published(b) & ~computed(b)))


@kv.invariant("kv.conservation")
def conservation() -> Bool:
    "No block is lost: each is free, cached, or owned by somebody."
    return forall(Block, lambda b: free(b) | published(b) | exists(Request, lambda r: owned(r, b)))


@kv.invariant("kv.no-double-owner")
def no_double_owner() -> Bool:
    "Two owners share a block only if it is published, so nobody writes what another reads."
    return forall(
        Request,
        Request,
        Block,
        lambda r, q, b: implies(owned(r, b) & owned(q, b) & (r != q), published(b)),
    )


@kv.invariant("kv.published-is-computed")
def published_is_computed() -> Bool:
    "The prefix cache finds only blocks whose keys and values are all there."
    return forall(Block, lambda b: implies(published(b), computed(b)))


@kv.invariant("kv.prefix-closed")
def prefix_closed() -> Bool:
    "Who has a block has the whole prefix before it: in tables, and in the cache."
    return conj(
        forall(Request, Block, lambda r, b: implies(owned(r, b) & ~first(b), owned(r, prev(b)))),
        forall(Block, lambda b: implies(published(b) & ~first(b), published(prev(b)))),
    )


@kv.invariant("kv.prefix-computed")
def prefix_computed() -> Bool:
    "Blocks are filled in order: before a full block every block is full."
    return forall(Block, lambda b: implies(computed(b) & ~first(b), computed(prev(b))))


@kv.invariant("kv.one-chain")
def one_chain() -> Bool:
    "A table does not branch: it has one first block, and at most one block after each."
    return conj(
        forall(
            Request,
            Block,
            Block,
            lambda r, b, c: implies(owned(r, b) & owned(r, c) & first(b) & first(c), b == c),
        ),
        forall(
            Request,
            Block,
            Block,
            lambda r, b, c: implies(owned(r, b) & owned(r, c) & ~first(b) & ~first(c) & (prev(b) == prev(c)), b == c),
        ),
    )


@kv.step_property("kv.no-reuse-in-flight")
def no_reuse_in_flight() -> Bool:
    "While a step is in flight its owner keeps every block, and none of them becomes free."
    return forall(
        Request,
        Block,
        lambda r, b: implies(running(r) & owned(r, b), owned.next(r, b) & ~free.next(b)),
    )


@kv.step_property("kv.write-exclusive")
def write_exclusive() -> Bool:
    "A block is filled by its only owner, in a step in flight, before it is published."
    return forall(
        Request,
        Block,
        lambda r, b: implies(
            ~computed(b) & computed.next(b),
            ~published(b) & implies(owned(r, b), running(r)) & exists(Request, lambda q: owned(q, b)),
        ),
    )


@kv.step_property("kv.eviction-only-unreferenced")
def eviction_only_unreferenced() -> Bool:
    "A block leaves the prefix cache only when nobody owns it."
    return forall(Request, Block, lambda r, b: implies(published(b) & ~published.next(b), ~owned(r, b)))


@kv.step_property("kv.content-stable")
def content_stable() -> Bool:
    "A full block keeps its content and its place as long as it is owned or cached."
    return forall(
        Block,
        lambda b: implies(
            computed(b) & ~free.next(b), computed.next(b) & (prev.next(b) == prev(b)) & (first.next(b) == first(b))
        ),
    )


@kv.step_property("kv.fresh-when-allocated")
def fresh_when_allocated() -> Bool:
    "A block that leaves the free list has one owner and nothing computed."
    return forall(
        Block,
        Request,
        Request,
        lambda b, r, q: implies(
            free(b) & ~free.next(b),
            ~computed.next(b) & ~published.next(b) & implies(owned.next(r, b) & owned.next(q, b), r == q),
        ),
    )


@kv.reachable("kv.reach-shared")
def reach_shared() -> Bool:
    "Two owners share a block while one of them is running."
    return exists(Request, Request, Block, lambda r, q, b: (r != q) & owned(r, b) & owned(q, b) & running(r))


@kv.reachable("kv.reach-cached")
def reach_cached() -> Bool:
    "A chain of two blocks is cached and owned by nobody."
    return exists(Block, lambda b: published(b) & ~first(b) & unowned(b) & unowned(prev(b)))
