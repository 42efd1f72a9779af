"""Judging long logs: records a second of the replay against the spec, every property after every step, and of the
whole of ``mtpo verify``; whether the rate stays as logs grow, and what a record costs in memory.

The logs are runs of the protocol's own machine: agents come and go, eight at work at a time, each making a hundred
calls on twelve objects, one of which it shares with the next, so that some calls are late and are repaired. Making a
log is not timed. A log is replayed by as many processes as ``mtpo verify`` takes, and by one, in turns. The rate is the
best of the rounds: of several processes by the clock, of one by the time of the processor. No model checker that
validates traces is at hand to run beside it; TLC is reported to take 19 to 30 events a second, the greater of which
stands for it here.
"""

from __future__ import annotations

import random
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from measure import Figure

from mtpo.proofs.replay.judge import judge
from mtpo.proofs.replay.numbering import Numbering
from mtpo.proofs.replay.relay import jobs
from mtpo.proofs.replay.replay import Run, Sparse, replay
from mtpo.proofs.replay.shrink import rechained
from mtpo.spec.records import Record, value_digest
from mtpo_core import events as e
from mtpo_core.logfile import LoggedRun
from mtpo_core.machine import Machine

LENGTHS = (10_000, 100_000, 1_000_000)
ROUNDS = {10_000: 5, 100_000: 3, 1_000_000: 1}
SALT = b"salt"
AT_WORK = 8
CALLS = 100
NEAR = 12
"""Objects that an agent uses; the next agent's are eleven further on, so one is shared."""

JUDGED = (10_000, 100_000)
"""Lengths of the logs that are judged as a whole: the chain of digests, the independent checker, the replay."""

GOAL = 50_000
TLC = 30.0
PEER = "a stated figure, not measured here: TLC validates 19 to 30 events/s of a trace, as reported in the literature"


def figures(tell: Callable[[str], None]) -> list[Figure]:
    """The figures of this benchmark."""
    tell("compiling the spec")
    start = time.process_time()
    replay(generated(100))
    found = [Figure("compiling the spec, once a process: seconds", time.process_time() - start, None, more=False)]
    start = time.process_time()
    Numbering(generated(100)).compile()
    more = "compiling what several processes need besides, once a process: seconds"
    found.append(Figure(more, time.process_time() - start, None, more=False))
    rates = {}
    for length in LENGTHS:
        tell(f"making a log of {length:,} records")
        records = generated(length)
        tell(f"replaying {length:,} records")
        count = jobs(length, ready=True)
        rates[length], alone = rate(records, count), 0.0
        for _ in range(ROUNDS[length]):
            alone = max(alone, rate_of_one(records))
            rates[length] = max(rates[length], rate(records, count))
        what = f"{length:,} records: records per second, every property after every step"
        used = "one process" if count == 1 else f"{count} processes, one a core"
        found.append(Figure(f"{what}, {used}", rates[length], TLC, GOAL, why=PEER, absolute=True))
        found.append(Figure(f"{length:,} records: rate, of the goal", rates[length] / GOAL, None))
        found.append(Figure(f"{what}, one process", alone, TLC, why=PEER))
        if length == LENGTHS[1]:
            tell(f"measuring the memory of {length:,} records")
            found.append(Figure(f"{length:,} records: bytes of state per record", state(records), None, more=False))
        del records
    longest = f"{LENGTHS[-1]:,} records: rate, of that at {LENGTHS[0]:,}"
    found.append(Figure(longest, rates[LENGTHS[-1]] / rates[LENGTHS[0]], None, 0.5))
    for length in JUDGED:
        tell(f"judging a log of {length:,} records")
        found.append(Figure(f"{length:,} records: records per second, judged as a whole", judged(length), None))
    return found


def rate(records: list[Record], count: int) -> float:
    """Records a second, by the clock."""
    start = time.perf_counter()
    found = replay(records, jobs=count)
    seconds = time.perf_counter() - start
    assert not found.problems, found.problems
    return len(records) / seconds


def rate_of_one(records: list[Record]) -> float:
    """Records a second of the time of the one process."""
    start = time.process_time()
    found = replay(records, jobs=1)
    seconds = time.process_time() - start
    assert not found.problems, found.problems
    return len(records) / seconds


def state(records: list[Record]) -> float:
    """Bytes a record that the replay holds when it has come to the end, besides the records."""
    tracemalloc.start()
    try:
        numbering = Numbering(records)
        run = Run(numbering, Sparse(numbering))
        for record in records:
            run.take(record)
        return tracemalloc.get_traced_memory()[0] / len(records)
    finally:
        tracemalloc.stop()


def judged(length: int) -> float:
    """Records a second of everything that ``mtpo verify`` does with a log that it has read."""
    run = logged(length)
    start = time.perf_counter()
    found = judge(run)
    seconds = time.perf_counter() - start
    assert not found.problems, found.problems[:3]
    return length / seconds


def logged(length: int, seed: int = 1) -> LoggedRun:
    """A run as a log that was read: chained, with its values."""
    run = _Generator(random.Random(seed), e.Policy.REPLAY, AT_WORK, CALLS, NEAR)
    run.until(length)
    empty = LoggedRun("generated.mtpo", "generated", SALT, (), (), run.named, frozenset())
    return rechained(empty, run.records[:length])


def generated(
    length: int,
    seed: int = 1,
    policy: e.Policy = e.Policy.REPLAY,
    *,
    at_work: int = AT_WORK,
    calls: int = CALLS,
    near: int = NEAR,
) -> list[Record]:
    """The records of a run, cut off at a length: agents at work at a time, their calls and objects."""
    run = _Generator(random.Random(seed), policy, at_work, calls, near)
    run.until(length)
    return run.records[:length]


class _Generator:
    def __init__(self, chance: random.Random, policy: e.Policy, at_work: int, calls: int, near: int) -> None:
        self.chance, self.records = chance, list[Record]()
        self.at_work, self.calls, self.near = at_work, calls, near
        self.named: dict[str, bytes | None] = {}
        self.absent, self.nothing = self.digest(None), self.digest(b"{}")
        self.machine = Machine({}, self.absent, policy)
        self.left: dict[int, int] = {}
        self.values = 0
        opened = {"mode": "mtpo", "policy": policy.value, "scenario": "generated", "inference": "none", "initial": {}}
        self.add("run-open", None, None, opened)

    def add(self, kind: str, agent: int | None, call: e.Key | None, body: Any = None) -> None:
        named = None if call is None else str(call)
        self.records.append(Record(1, "generated", len(self.records), 0.0, agent, named, kind, body or {}, ""))

    def digest(self, value: bytes | None) -> str:
        """The digest of a value, which is kept."""
        found = value_digest(SALT, value)
        self.named[found] = value
        return found

    def until(self, length: int) -> None:
        """Go on until there are so many records."""
        while len(self.records) < length:
            self.go_on()

    def go_on(self) -> None:
        """Whatever an agent does next."""
        if len(self.left) < self.at_work:
            self.left[len(self.machine.agents)] = self.calls
            return self.step(e.Launch())
        rank = self.chance.choice(list(self.left))
        if self.machine.agents[rank].noted:
            return self.step(e.Deliver(rank))
        if not self.left[rank]:
            if self.machine.agents[rank].finished:
                if self.machine.agents[rank].committed:
                    del self.left[rank]
                return None
            return self.step(e.Finish(rank))
        self.left[rank] -= 1
        objects = [
            f"o{(self.near - 1) * rank + self.chance.randrange(self.near)}"
            for _ in range(self.chance.choice((1, 1, 2)))
        ]
        if self.chance.random() < 0.5:
            return self.step(e.Read(rank, tuple(objects)))
        reads = frozenset(objects if self.chance.random() < 0.7 else ())
        body = {"tool": "t", "args": self.nothing, "reads": sorted(reads), "writes": sorted({*objects}), "class": "rmw"}
        self.body = {**body, "invertible": True}
        return self.step(e.Call(rank, reads, frozenset(objects)))

    def step(self, event: e.Event) -> None:
        waiting: list[e.Event] = [event]
        while waiting:
            event = waiting.pop()
            for effect in self.machine.step(event):
                answer = self.effect(effect)
                waiting += [] if answer is None else [answer]

    def value(self) -> str:
        """A value: most are new, some have been there before."""
        self.values += self.chance.random() < 0.8
        return self.digest(str(self.values).encode())

    def out(self, key: e.Key) -> dict[str, str]:
        return {o: self.value() for o in sorted(self.machine.calls[key].writes)}

    def sights(self, saw: Any) -> dict[str, Any]:
        return {o: {"write": None if s.write is None else str(s.write), "digest": s.digest} for o, s in saw.items()}

    def effect(self, effect: e.Effect) -> e.Event | None:
        """Log an effect, carry it out; the event that this is."""
        acting = self.machine.repair.acting if self.machine.repair is not None else None
        match effect:
            case e.Launched(agent=rank):
                self.add("launch", rank, None, {"name": f"agent {rank}", "task": ""})
            case e.Served(call=key, saw=saw, filtered=filtered):
                body = {
                    "tool": "t",
                    "args": self.nothing,
                    "saw": self.sights(saw),
                    "filtered": filtered,
                    "result": self.nothing,
                }
                self.add("read", key.rank, key, body)
            case e.Accepted(call=key, members=members):
                self.add("call", key.rank, key, {**self.body, "members": list(map(str, members))})
            case e.Undo(call=key):
                self.add("undo", key.rank, key, {"by": str(acting)})
                writes = sorted(self.machine.calls[key].writes)
                restored = {o: self.machine.source(o, key).digest for o in writes}
                self.add("undone", key.rank, key, {"by": str(acting), "restored": restored})
                return e.Undone(key)
            case e.Exec(call=key, saw=saw):
                self.prepare(key)
                self.add("exec", key.rank, key)
                out = self.out(key)
                self.add("applied", key.rank, key, {"saw": self.sights(saw), "out": out, "result": self.nothing})
                return e.Applied(key, out)
            case e.Redo(call=key, saw=saw):
                self.prepare(key)
                self.add("redo", key.rank, key, {"by": str(acting)})
                out = self.out(key)
                self.redone = {"by": str(acting), "saw": self.sights(saw), "out": out, "result": self.nothing}
                return e.Redone(key, out)
            case _:
                self.told(effect, acting)
        return None

    def told(self, effect: e.Effect, acting: e.Key | None) -> None:
        """Effects that only need to be logged."""
        match effect:
            case e.Resolved(call=key, status="redone", changed=changed):
                self.add("redone", key.rank, key, {**self.redone, "changed": changed})
            case e.Resolved(call=key, status=status):
                self.add(status, key.rank, key, {"by": str(acting)})
            case e.Settled(call=key, stale=stale):
                self.add("settle", key.rank, key, {"stale": list(map(str, stale))})
            case e.Notify(agent=rank, id=number, by=by):
                premises = [
                    {
                        "call": str(p.call),
                        "object": p.object,
                        "was": p.was,
                        "now": p.now.digest,
                        "write": None if p.now.write is None else str(p.now.write),
                    }
                    for p in effect.premises
                ]
                results = [{"call": str(r.call), "status": r.status} for r in effect.results]
                self.add("notify", rank, None, {"id": number, "by": str(by), "premises": premises, "results": results})
            case e.Delivered(agent=rank, ids=ids):
                self.add("deliver", rank, None, {"ids": list(ids)})
            case e.Finished(agent=rank) | e.Reopened(agent=rank) | e.Committed(agent=rank):
                self.add({"Finished": "finish", "Reopened": "reopen"}.get(type(effect).__name__, "commit"), rank, None)

    def prepare(self, key: e.Key) -> None:
        self.add("prepared", key.rank, key, {"undo": self.nothing})
