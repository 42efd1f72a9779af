"""The KV monitor: the engine's bookkeeping, followed by the spec.

Every verb of the block manager is taken as a step of :mod:`mtpo.spec.paged_kv`, whose guard must hold; after each
engine step the spec's state is compared with the manager's tables, free list, reference counts and prefix cache. The
spec's properties are proven for every step whose guard holds, so what agrees with it has them.
"""

from __future__ import annotations

import time
from collections import Counter
from itertools import pairwise
from typing import Literal

from mtpo.engine.cache import BlockManager
from mtpo.spec.concrete import Instance, Step
from mtpo.spec.paged_kv import Block, Request, kv

Level = Literal["strict", "count", "off"]


class MonitorViolation(AssertionError):
    """The engine left the spec: ``property`` is the id of what is violated, the message dumps the block concerned."""

    def __init__(self, property: str, message: str) -> None:
        super().__init__(f"{property}: {message}")
        self.property = property


class KVMonitor:
    """Follows one block manager. ``strict`` raises, ``count`` counts in :attr:`violations` and goes on."""

    def __init__(self, manager: BlockManager, owners: int, level: Level = "strict") -> None:
        self.manager, self.level = manager, level
        self.instance = Instance(kv, {Block: manager.total, Request: owners})
        self.state = self.instance.initial()
        self.violations: Counter[str] = Counter()
        self.seconds = 0.0
        self.steps = 0
        manager.listener = self.take

    def take(self, action: str, *args: int) -> None:
        """One verb of the engine, before it happens."""
        begin = time.perf_counter()
        step = Step(action, args)
        refused = self.instance.refused(self.state, step)
        if refused:
            clause = refused[0]
            text = f"{action}{args}: {clause.id} is false: {clause.formula!r}; {self._dump(args)}"
            self._report(self._violated_by(step) or clause.id, text)
        self.instance.perform(self.state, step)
        self.steps += 1
        self.seconds += time.perf_counter() - begin

    def _violated_by(self, step: Step) -> str:
        """The property that the refused step breaks; empty when it breaks none by itself."""
        after = list(self.state)
        self.instance.perform(after, step)
        broken = [*self.instance.violated_step(self.state, after), *self.instance.violated(after)]
        return broken[0].id if broken else ""

    def check(self) -> None:
        """Compare the spec's state with the manager's; call it after each engine step."""
        begin = time.perf_counter()
        manager, offsets, total = self.manager, self.instance.offsets, self.manager.total
        owners = self.instance.sizes[Request]
        owned = [0] * (owners * total)
        for owner, table in manager.tables.items():
            for block in table:
                owned[owner * total + block] = 1
        counts = [sum(owned[block::total]) for block in range(total)]
        free = [0] * total
        for block in manager.free:
            free[block] += 1

        def row(name: str, length: int) -> list[int]:
            return self.state[offsets[name] : offsets[name] + length]

        published = [int(h is not None) for h in manager.hashes]
        lost = [b for b in range(total) if not (free[b] or published[b] or counts[b])]
        torn = [b for b in range(total) if free[b] and (counts[b] or published[b])]
        findings = (
            ("kv.free-xor-owned", torn),
            ("kv.free-xor-owned", [b for b in range(total) if free[b] > 1]),
            ("kv.conservation", lost),
            ("kv.no-double-owner", _differ(counts, manager.references)),
            ("kv.no-double-owner", [b % total for b in _differ(owned, row("owned", owners * total))]),
            ("kv.one-chain", self._out_of_order(row("first", total), row("prev", total))),
            ("kv.free-xor-owned", _differ(free, row("free", total))),
            ("kv.published-is-computed", _differ(published, row("published", total))),
            ("kv.published-is-computed", _differ([int(c) for c in manager.computed], row("computed", total))),
            ("kv.conservation", [b for b in manager.cached if counts[b] or not published[b]]),
        )
        for property, blocks in findings:
            if blocks:
                self._report(property, f"the engine and the spec differ: {self._dump(blocks[:4])}")
        self.seconds += time.perf_counter() - begin

    def _out_of_order(self, first: list[int], prev: list[int]) -> list[int]:
        """Blocks that stand in a table elsewhere than after the block that they continue."""
        found = []
        for table in self.manager.tables.values():
            found += [b for b in table[:1] if not first[b]]
            found += [b for before, b in pairwise(table) if first[b] or prev[b] != before]
        return found

    def _dump(self, blocks: tuple[int, ...] | list[int]) -> str:
        manager = self.manager
        found = []
        for block in blocks:
            if 0 <= block < manager.total:
                holders = [owner for owner, table in manager.tables.items() if block in table]
                found.append(
                    f"block {block}: owners {holders}, references {manager.references[block]}, "
                    f"free {block in manager.free}, published {manager.hashes[block] is not None}"
                )
        return "; ".join(found)

    def _report(self, property: str, message: str) -> None:
        if self.level == "strict":
            raise MonitorViolation(property, message)
        self.violations[property] += 1


def _differ(left: list[int], right: list[int]) -> list[int]:
    return [] if left == right else [i for i, (a, b) in enumerate(zip(left, right, strict=True)) if a != b]
