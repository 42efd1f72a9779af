"""Decodes that advance together, a token each a step: counted, not gone through.

What a step takes of a decode is known beforehand: a token, and a block when its last one is full. So a step of hundreds
of decodes costs as much as what is different in it: those that end, and those whose full block others may find. What
became of each is worked out when somebody asks (:meth:`Lockstep.settle`), from the times at which steps ended, with the
result to the last bit that step by step would give.

Members are in buckets by the step, modulo the tokens in a block, in which they need a new block. Those with content
that others may share are kept by name, the rest by number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import attrgetter

from mtpo.schedulers.simulator.request import Request

_SEAT = attrgetter("seat")


class Lockstep:
    """``size``: tokens in a block. ``clock``: steps so far; ``context``: computed tokens of all members."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.clock = 0
        self.context = 0
        self.members: dict[int, Request] = {}
        self.ending: dict[int, list[Request]] = {}
        """Those that have emitted all, by the step that it is so after."""
        self.last_seat = -1
        """No member was admitted after this one."""
        self.tpots: tuple[float | None, ...] = ()
        self._ends: list[float] = []
        self._base = 0
        self._needs = [0] * size
        self._named: list[dict[int, Request]] = [{} for _ in range(size)]

    def __len__(self) -> int:
        return len(self.members)

    def join(self, request: Request) -> None:
        """One that decodes and holds the blocks of what it has computed, and no more, takes part from the next step."""
        clock, size = self.clock, self.size
        if not self.members:
            self._base = clock
            self._ends.clear()
            self.last_seat, self.tpots = -1, ()
        request.joined = clock
        self.members[request.id] = request
        self.context += request.computed
        at = (clock - request.computed) % size
        self._needs[at] += 1
        if request.holding.runs and request.holding.publishing:
            self._named[at][request.id] = request
        end = clock + request.until - request.emitted
        self.ending.setdefault(end, []).append(request)
        if request.seat > self.last_seat:
            self.last_seat = request.seat
        if request.tpot_slo not in self.tpots:
            self.tpots = (*self.tpots, request.tpot_slo)

    def leave(self, request: Request) -> None:
        """One that has been settled is no longer a member."""
        del self.members[request.id]
        self.context -= request.computed
        at = (request.joined - request.computed) % self.size
        self._needs[at] -= 1
        self._named[at].pop(request.id, None)
        end = request.joined + request.until - request.emitted
        if end in self.ending:
            self.ending[end].remove(request)
            if not self.ending[end]:
                del self.ending[end]

    def clear(self) -> None:
        """Nobody takes part; all have been settled."""
        self.members.clear()
        self.ending.clear()
        self.context = 0
        self._needs = [0] * self.size
        for bucket in self._named:
            bucket.clear()

    # -- steps ---------------------------------------------------------------------------------------------------

    @property
    def lacking(self) -> int:
        """Blocks that the next step takes."""
        return self._needs[self.clock % self.size]

    def allocated(self) -> None:
        """The blocks of the next step were allocated: those that may be shared are accounted for at once."""
        for request in self._named[self.clock % self.size].values():
            request.holding.private += 1

    def step(self, now: float) -> None:
        """A step ended."""
        self.clock += 1
        self.context += len(self.members)
        self._ends.append(now)

    def full(self) -> Iterator[tuple[Request, int]]:
        """Those whose content may be shared and whose last block became full with this step, in order of admission, and
        the number of their full blocks."""
        bucket = self._named[self.clock % self.size]
        if len(bucket) < 2:
            members: Iterable[Request] = tuple(bucket.values())
        else:
            members = sorted(bucket.values(), key=_SEAT)
        for request in members:
            yield request, (request.computed + self.clock - request.joined) // self.size

    def collide(self) -> bool:
        """Whether several of those whose block is full after the next step have the same content in it: who comes first
        counts then."""
        bucket = self._named[(self.clock + 1) % self.size]
        if len(bucket) < 2:
            return False
        tags = [r.holding.runs[r.holding.at][0] for r in bucket.values() if r.holding.at < len(r.holding.runs)]
        return len(set(tags)) < len(tags)

    def ended(self) -> list[Request]:
        """Those that have emitted all with this step, in order of admission, settled; they take part no longer."""
        found = self.ending.pop(self.clock, None)
        if found is None:
            return []
        if len(found) > 1:
            found.sort(key=_SEAT)
        for request in found:
            self.settle(request, False)
            self.leave(request)
        return found

    def settle(self, request: Request, under_way: bool) -> None:
        """Bring what is told of a member up to date; ``under_way``: whether a step has begun, blocks included."""
        times = self._ends[request.joined - self._base : self.clock - self._base]
        request.decode(times)
        request.joined = self.clock
        holding = request.holding
        holding.private = -(-(request.computed + under_way) // self.size) - holding.tree
