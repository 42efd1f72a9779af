"""Bookkeeping of the paged KV cache: blocks, owners, prefix sharing.

::

    free ──allocate──▶ owned ──publish──▶ owned + published ──release──▶ cached ──share──▶ owned + published
      ▲                  │ release                                         │
      └──────────────────┴───────────────────────evict─────────────────────┘

The verbs are the actions of :mod:`mtpo.spec.paged_kv`; a listener hears each of them, which is how the monitor follows.
A block's hash covers its tokens and those of every block before it, so a hit is always a hit of the whole prefix.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence

from mtpo.engine.errors import EngineError, whole

Listener = Callable[..., None]


def _silent(action: str, *args: int) -> None:
    """Nobody listens."""


def block_hash(before: bytes, tokens: Sequence[int]) -> bytes:
    """The hash of a full block, given that of the block before it (empty for the first)."""
    return hashlib.blake2b(before + b",".join(b"%d" % token for token in tokens), digest_size=16).digest()


class BlockManager:
    """``blocks`` physical blocks of ``block_size`` slots, at least 1 of each. Owners are small integers."""

    def __init__(self, blocks: int, block_size: int, listener: Listener = _silent) -> None:
        self.total, self.block_size = whole("blocks", blocks), whole("block_size", block_size)
        self.free: deque[int] = deque(range(self.total))
        self.references = [0] * self.total
        self.computed = [False] * self.total
        self.hashes: list[bytes | None] = [None] * self.total
        self.index: dict[bytes, int] = {}
        self.cached: OrderedDict[int, None] = OrderedDict()
        """Published blocks without owner, least recently used first."""
        self.tables: dict[int, list[int]] = {}
        self.listener = listener

    @property
    def available(self) -> int:
        """Blocks that can be allocated, cached ones that would be evicted included."""
        return len(self.free) + len(self.cached)

    def beside(self, tables: Iterable[Iterable[int]]) -> int:
        """Blocks that can be had while these tables are kept and every other one is given up."""
        return self.total - len(set[int]().union(*tables))

    def match(self, tokens: Sequence[int], chain: list[bytes] | None = None) -> list[int]:
        """The published blocks that hold a prefix of these tokens, whole blocks only.

        ``chain``: hashes of the leading blocks as far as they are known already; extended in place.
        """
        chain = [] if chain is None else chain
        found: list[int] = []
        for position in range(len(tokens) // self.block_size):
            if position == len(chain):
                start = position * self.block_size
                chain.append(block_hash(chain[-1] if chain else b"", tokens[start : start + self.block_size]))
            if chain[position] not in self.index:
                break
            found.append(self.index[chain[position]])
        return found

    def share(self, owner: int, block: int) -> None:
        """Append a published block to an owner's table."""
        self.listener("share", owner, block)
        self.cached.pop(block, None)
        self.references[block] += 1
        self.tables.setdefault(owner, []).append(block)

    def allocate(self, owner: int) -> int:
        """Append a fresh block to an owner's table. Raises :class:`EngineError` when there is none."""
        if not self.free:
            self.evict()
        block = self.free.popleft()
        table = self.tables.setdefault(owner, [])
        if table:
            self.listener("allocate", owner, block, table[-1])
        else:
            self.listener("allocate_first", owner, block)
        self.references[block] = 1
        self.computed[block] = False
        table.append(block)
        return block

    def evict(self) -> None:
        """Give back the least recently used cached block: an end of a chain, since chains are released from the end."""
        if not self.cached:
            raise EngineError(f"the KV cache is full: {self.total} blocks, none free, none cached")
        block, _ = self.cached.popitem(last=False)
        self.listener("evict", block)
        self._unpublish(block)
        self.computed[block] = False
        self.free.append(block)

    def _unpublish(self, block: int) -> None:
        digest = self.hashes[block]
        if digest is not None:
            del self.index[digest]
            self.hashes[block] = None

    def fill(self, owner: int, block: int) -> None:
        """Every slot of a block is computed now."""
        self.listener("fill", owner, block)
        self.computed[block] = True

    def publish(self, owner: int, position: int, tokens: Sequence[int]) -> bool:
        """Let others find the full block at a position of a table; ``tokens`` are its own.

        Not done when another block has the same content, or the block before is not published itself.
        """
        table = self.tables[owner]
        block = table[position]
        before = b"" if position == 0 else self.hashes[table[position - 1]]
        if before is None or self.hashes[block] is not None:
            return False
        digest = block_hash(before, tokens)
        if digest in self.index:
            return False
        self.listener("publish", block)
        self.hashes[block] = digest
        self.index[digest] = block
        return True

    def release(self, owner: int) -> None:
        """Give up an owner's whole table, from its end."""
        table = self.tables.pop(owner, [])
        while table:
            block = table.pop()
            self.listener("release", owner, block)
            self.references[block] -= 1
            if self.references[block] == 0:
                if self.hashes[block] is not None:
                    self.cached[block] = None
                else:
                    self.computed[block] = False
                    self.free.append(block)
