"""The traces of the findings on limits of active agents (F23, F25): the window that a policy decides on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby

import attrs

from mtpo.proofs.findings.chart import Bar, Chart, Keys, Row
from mtpo.proofs.findings.traces import NotShown
from mtpo.schedulers.admission.caps import NoLimit
from mtpo.schedulers.admission.concur import Concur
from mtpo.schedulers.admission.footprint import Footprint
from mtpo.schedulers.placement.conserve import ConServe
from mtpo.schedulers.placement.failover import Failover
from mtpo.schedulers.simulator.cluster import Setup, Simulation, WorkerSetup
from mtpo.schedulers.simulator.steptime import Hardware, Power, StepTime, Transfer
from mtpo.schedulers.simulator.worker import Caps, StuckError
from mtpo.schedulers.step.sarathi import Sarathi
from mtpo.schedulers.traces.workload import Conversation, Workload, counted, linear
from mtpo.schedulers.types import AdmissionDecision, AdmissionObservation, AdmissionPolicy, PlacementPolicy

# -- F23 -----------------------------------------------------------------------------------------------------------

Windows = list[tuple[int, float]]
"""For each tick the window, and the share of the cache that those within it want."""


def windows(policy: AdmissionPolicy, start: float, ticks: int, share: Callable[[int], float]) -> Windows:
    """What a policy decides when an agent takes ``share(tick)`` of the cache and prefixes are lost beyond it."""
    window, found = start, Windows()
    for tick in range(ticks):
        active = max(1, int(window))
        wanted = active * share(tick)
        hits = 0.95 if wanted <= 1 else 0.1
        seen = AdmissionObservation(tick, active, 9, min(1.0, wanted), hits, window, active, 100)
        decided = policy.decide(seen).window
        assert decided is not None
        window = decided
        found.append((int(window), wanted))
    return found


def controls() -> dict[str, AdmissionPolicy]:
    """CONCUR, and its mend."""
    return {"concur": Concur(), "footprint": Footprint(0.8, least=1)}


def one_large_agent(policy: AdmissionPolicy) -> Windows:
    """Each agent takes a quarter of the cache, one is active."""
    return windows(policy, 1.0, 100, lambda tick: 0.25)


def contexts_that_grow(policy: AdmissionPolicy) -> Windows:
    """Eight agents are active, and the share of each grows."""
    return windows(policy, 8.0, 60, lambda tick: 0.04 + 0.01 * tick)


def _windows(title: str, of: Callable[[AdmissionPolicy], Windows]) -> Chart:
    rows = []
    for name, policy in controls().items():
        found = of(policy)
        sizes, full = list[Bar](), list[Bar]()
        for size, ticks in groupby(range(len(found)), key=lambda tick: found[tick][0]):
            span = list(ticks)
            sizes.append(Bar(span[0], span[-1] + 1, "run", f"{size}"))
        for over, ticks in groupby(range(len(found)), key=lambda tick: found[tick][1] > 1):
            span = list(ticks)
            most = max(found[tick][1] for tick in span)
            full.append(Bar(span[0], span[-1] + 1, "bad" if over else "good", f"{100 * most:.0f} %"))
        rows += [Row(name, tuple(sizes), note="the window"), Row("", tuple(full), note="of the cache, at most")]
    keys: Keys = (
        ("run", "the window, in agents"),
        ("good", "what they want fits"),
        ("bad", "it does not"),
    )
    return Chart(title, "ticks", tuple(rows), keys)


def stuck_window() -> Chart:
    """F23: a window of one stays one."""
    return _windows("Each agent takes a quarter of the cache", one_large_agent)


def late_cut() -> Chart:
    """F23: contexts run over the cache before there is a cut."""
    return _windows("Eight agents whose contexts grow", contexts_that_grow)


# -- F25 -----------------------------------------------------------------------------------------------------------


@attrs.define
class Recorded:
    """An admission policy whose decisions are kept."""

    policy: AdmissionPolicy
    seen: list[tuple[AdmissionObservation, AdmissionDecision]] = attrs.field(factory=list)

    @property
    def interval(self) -> float | None:
        """See :class:`~mtpo.schedulers.types.AdmissionPolicy`."""
        return self.policy.interval

    def decide(self, observation: AdmissionObservation) -> AdmissionDecision:
        """See :class:`~mtpo.schedulers.types.AdmissionPolicy`."""
        decision = self.policy.decide(observation)
        self.seen.append((observation, decision))
        return decision


def two_controls(admission: AdmissionPolicy, placement: PlacementPolicy) -> Simulation:
    """Two conversations on a prefiller and a decoder of 200 tokens each, under both controls."""
    hardware = Hardware("test", StepTime(0.01, 1e-4, 1e-7), 0, Power(100.0, 10.0), Transfer(0.05, 100, 0.1, 1e-3))
    caps = Caps(50, 4, 256)
    workers = (WorkerSetup(hardware, caps, True, False), WorkerSetup(hardware, caps, False, True))
    lengths = ((0.0, [(110, 40, 0.0), (10, 5, 0.5)]), (0.05, [(90, 10, 0.0)]))
    talks = tuple(Conversation(f"c{tag}", at, linear(tag, one)) for tag, (at, one) in enumerate(lengths))
    return Simulation(Workload("two", talks, timed=False), Setup(Sarathi(64), workers, admission, placement))


def stuck(run: Simulation) -> str:
    """Why a simulation, run to its end, can't go on; nothing if it can."""
    try:
        run.run()
    except StuckError as error:
        return str(error)
    return ""


def admissions() -> dict[str, AdmissionPolicy]:
    """The control that locks, and others that do not."""
    return {
        "concur": Concur(period=0.2),
        "no limit": NoLimit(),
        "concur:unlocks=yes": Concur(period=0.2, unlocks=True),
        "footprint": Footprint(period=0.2, least=1),
        "footprint:per_request=yes": Footprint(period=0.2, least=1, per_request=True),
    }


def placements() -> tuple[PlacementPolicy, ...]:
    """Those that promise a conversation its room."""
    return ConServe(), Failover(None)


def standstill(run: Simulation) -> str:
    """Of a simulation that can't go on: who is held for want of which room, and who waits for admission."""
    talk = run.router.first
    if talk is None:
        raise NotShown("nobody is held for want of room")
    turn = talk.conversation.turns[talk.turn]
    rooms = []
    for site in run.sites:
        if site.decodes and site.lost is None:
            room = site.worker.kv.available * site.worker.caps.block_size
            rooms.append(f"{room - site.held:,} of {room:,} free, {site.held:,} promised")
    wants = f"{talk.conversation.name} needs {turn.prompt + turn.output:,} tokens ({'; '.join(rooms)})"
    return f"{wants}; {counted(run.gate.waiting, 'agent')} waiting for admission"


def _two(name: str, until: float | None) -> tuple[list[Row], float]:
    """The rows of a run under an admission policy, up to a time or to its end, and when that was."""
    kept = Recorded(admissions()[name])
    run = two_controls(kept, ConServe())
    stuck(run)
    over = max(turn.end for turn in run.turns) if until is None else until
    rows = []
    for talk in run.talks:
        turns = [turn for turn in run.turns if turn.conversation == talk.conversation.name]
        bars = [Bar(turn.submitted, turn.end, "run", f"turn {turn.turn}") for turn in turns]
        if talk.turn < len(talk.conversation.turns):
            has = f"{talk.reserved} tokens promised" if talk.reserved_on is not None else "no room promised"
            bars.append(Bar(talk.asked, over, "bad", f"turn {talk.turn + 1} waits, {has}"))
        rows.append(Row(talk.conversation.name, tuple(bars), note=name))
    return [*rows, Row("the limit", tuple(_limits(kept, over)), note=name)], over


def _limits(kept: Recorded, over: float) -> Iterator[Bar]:
    """How many agents might be active, from one decision to the next."""
    made = [(seen.now, decision.limit) for seen, decision in kept.seen if seen.now <= over]
    for limit, group in groupby(made, key=lambda one: one[1]):
        times = [at for at, _ in group]
        yield Bar(times[0], min(over, times[-1] + (kept.interval or over)), "wait", f"{limit or 'none'}")


def locked_controls() -> Chart:
    """F25: both wait for each other, for ever; and beside it the mend."""
    mended, end = _two("concur:unlocks=yes", None)
    locked, _ = _two("concur", 1.5 * end)
    run = two_controls(admissions()["concur"], ConServe())
    if not stuck(run):
        raise NotShown("nobody waits for ever")
    # The simulation asks on for long before it gives up: what is said is since when nothing is new.
    since = max(bar.start for row in locked for bar in row.bars)
    keys: Keys = (("run", "a turn"), ("bad", "waits, and will for ever"), ("wait", "agents that may be active"))
    return Chart(f"From {since:.2f} s on nothing changes: {standstill(run)}", "seconds", (*locked, *mended), keys)
