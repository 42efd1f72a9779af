"""Random programs of minds end, under MTPO, in exactly the state of the serial run in rank order.

Each agent wants a few things that depend on what it reads: a file's text derived from other files, a line in a shared
file, a file of its own that exists or not, a file gone. Inferences take random times, so agents act in any order, on
old knowledge, and are told. This is what the protocol promises: the end is that of one agent after the other.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import attrs
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from mtpo.proofs.replay.judge import judge
from mtpo_core.driver import Driver
from mtpo_core.inference import NoInference
from mtpo_core.log import LoggedRun, read_log
from mtpo_core.machine import Policy
from mtpo_core.minds import Memory, Message, Move, ReplayedMind
from mtpo_core.resources.filesystem import FileSystem
from mtpo_core.resources.filetools import file_tools
from mtpo_core.runtime import Mode, Session
from mtpo_core.scenarios.base import AgentSpec, Scenario
from mtpo_core.tools import Toolbox, ToolCall

FILES = {f"f{i}": f"file {i}\n" for i in range(4)} | {"d/k0": "kept 0\n", "d/k1": "kept 1\n"}
SHARED = tuple(name for name in FILES if name.startswith("f"))
KEPT = tuple(name for name in FILES if name.startswith("d/"))
LISTING = "d/"


# -- programs ------------------------------------------------------------------------------------------------------


@attrs.frozen
class Derive:
    """The target's whole text is derived from the sources."""

    target: str
    sources: tuple[str, ...]


@attrs.frozen
class Note:
    """The target has one line of this step's, derived from the sources; other lines stay."""

    target: str
    sources: tuple[str, ...]


@attrs.frozen
class Keep:
    """A file of the step's own in ``d/`` exists if and only if what the sources say is even."""

    sources: tuple[str, ...]


@attrs.frozen
class Drop:
    """The target does not exist."""

    target: str


Step = Derive | Note | Keep | Drop
Program = tuple[Step, ...]


def look(memory: Memory, sources: Sequence[str]) -> str:
    """A short digest of what is believed of the sources."""
    seen = [(s, memory.listing(s) if s == LISTING else memory.file(s)) for s in sources]
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:6]


@attrs.frozen
class Worker(ReplayedMind):
    """Wants every step of its program to hold, in order."""

    name: str
    program: Program

    def plan(self, memory: Memory) -> Iterator[Move]:
        for number, step in enumerate(self.program):
            label = f"{self.name}{number}"
            match step:
                case Derive(target, sources):
                    text = f"{label} {look(memory, sources)}\n"
                    if memory.file(target) != text:
                        yield Move("Derive.", ToolCall("write_file", {"path": target, "content": text}))
                case Note(target, sources):
                    line = f"- {label} {look(memory, sources)}\n"
                    lines = (memory.file(target) or "").splitlines(keepends=True)
                    mine = [old for old in lines if old.startswith(f"- {label} ")]
                    if not mine:
                        yield Move("Note.", ToolCall("append", {"path": target, "content": line}))
                    elif mine != [line]:
                        yield Move("Mend.", ToolCall("replace", {"path": target, "old": mine[0], "new": line}))
                case Keep(sources):
                    path, even = f"d/{label}", int(look(memory, sources), 16) % 2 == 0
                    there = memory.file(path) is not None
                    if even and not there:
                        yield Move("Make.", ToolCall("create_file", {"path": path, "content": f"{label}\n"}))
                    elif there and not even:
                        yield Move("Unmake.", ToolCall("delete_file", {"path": path}))
                case Drop(target):
                    if memory.file(target) is not None:
                        yield Move("Drop.", ToolCall("delete_file", {"path": target}))


def sound(program: Program) -> bool:
    """Whether the program states one goal: no step undoes or feeds an earlier one of the same agent."""
    targets = [step.target for step in program if not isinstance(step, Keep)]
    if len(set(targets)) < len(targets):
        return False
    touches = any(isinstance(step, Keep) or step.target in KEPT for step in program)
    sources = {s for step in program if not isinstance(step, Drop) for s in step.sources}
    if touches and LISTING in sources:
        return False
    for number, step in enumerate(program):
        later = {other.target for other in program[number:] if not isinstance(other, Keep)}
        if not isinstance(step, Drop) and later & set(step.sources):
            return False
    return True


def _sources() -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from((*SHARED, *KEPT, LISTING)), min_size=1, max_size=2, unique=True).map(tuple)


STEPS: st.SearchStrategy[Step] = st.one_of(
    st.builds(Derive, st.sampled_from((*SHARED, *KEPT)), _sources()),
    st.builds(Note, st.sampled_from(SHARED), _sources()),
    st.builds(Keep, _sources()),
    st.builds(Drop, st.sampled_from(KEPT)),
)
PROGRAMS = st.lists(STEPS, min_size=1, max_size=3).map(tuple).filter(sound)
CASES = st.lists(PROGRAMS, min_size=2, max_size=4).map(tuple)


# -- runs ----------------------------------------------------------------------------------------------------------


@attrs.define
class RandomTimes(NoInference):
    """Every inference takes a random number of steps."""

    rng: random.Random = attrs.Factory(random.Random)

    def begin(self, agent: int, messages: Sequence[Message], text: str) -> None:
        super().begin(agent, messages, text)
        first, _, fresh = self._active[agent]
        self._active[agent] = (first, self.rng.choice((1, 2, 5, 20)), fresh)


@attrs.frozen
class Ended:
    """The files at the end, and the log."""

    files: Mapping[str, str]
    log: LoggedRun

    def count(self, kind: str) -> int:
        """Records of a kind."""
        return sum(record.kind == kind for record in self.log.records)


def run(programs: Sequence[Program], mode: Mode, policy: Policy = Policy.REPLAY, seed: int = 0) -> Ended:
    """One run on a fresh tree."""
    agents = tuple(
        AgentSpec(name, "a program", lambda name=name, program=program: Worker(name, program))
        for name, program in zip("abcdefgh", programs, strict=False)
    )
    scenario = Scenario("random", "", "", FILES, agents, {})

    async def work(root: Path, log: Path) -> None:
        session = Session.open(FileSystem(root), Toolbox(file_tools()), log, mode=mode, policy=policy)
        await Driver(scenario, session, RandomTimes(rng=random.Random(seed))).run()
        assert await session.close() == "complete"

    with tempfile.TemporaryDirectory() as folder:
        root, log = Path(folder) / "tree", Path(folder) / "run.mtpo"
        for path, text in FILES.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        asyncio.run(work(root, log))
        files = {p.relative_to(root).as_posix(): p.read_text() for p in sorted(root.rglob("*")) if p.is_file()}
        return Ended(files, read_log(log))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(CASES, st.sampled_from(Policy), st.integers(0, 2**16))
def test_the_end_is_that_of_rank_order(programs: tuple[Program, ...], policy: Policy, seed: int) -> None:
    wanted = run(programs, "serial").files
    found = run(programs, "mtpo", policy, seed)
    for record in found.log.records:
        if record.kind in ("read", "call", "undone", "redone", "cancelled", "stranded", "bounce", "notify"):
            note(f"{record.kind} {record.call or record.agent}")
    assert found.files == wanted


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(CASES, st.sampled_from(Policy), st.integers(0, 2**16))
def test_the_log_is_one_of_the_spec(programs: tuple[Program, ...], policy: Policy, seed: int) -> None:
    judgment = judge(run(programs, "mtpo", policy, seed).log)
    assert not judgment.problems, "\n".join(map(str, judgment.problems))


HARD: tuple[Program, ...] = (
    (Derive("f0", ("f1", "d/k0")), Drop("d/k1"), Keep(("f1",))),
    (Note("f0", ("f2",)), Derive("f1", ("d/k1", "f0"))),
    (Derive("f2", (LISTING, "f1")), Note("f0", ("f1",))),
    (Note("f0", ("f2",)), Derive("d/k1", ("f1",)), Keep(("f2", "d/k0"))),
)


@pytest.mark.parametrize("policy", Policy)
def test_the_cases_are_contended(policy: Policy) -> None:
    """Over a few seeds every part of the protocol is at work, and without coordination most ends are wrong."""
    wanted = run(HARD, "serial").files
    seen = dict.fromkeys(("undone", "redone", "cancelled", "bounce", "reopen", "notify", "deliver"), 0)
    wrong = 0
    for seed in range(8):
        found = run(HARD, "mtpo", policy, seed)
        assert found.files == wanted, f"seed {seed}"
        for kind in seen:
            seen[kind] += found.count(kind)
        wrong += run(HARD, "naive", policy, seed).files != wanted
    never = "cancelled" if policy is Policy.REPLAY else "redone"
    assert {kind for kind, count in seen.items() if not count} <= {never, "bounce"}
    assert seen["undone"] > 8
    assert wrong >= 6


def test_a_run_repeats() -> None:
    """The same minds and times give the same records, but for clocks and salts."""
    first, second = (run(HARD, "mtpo", seed=3).log for _ in range(2))

    def form(log: LoggedRun) -> list[tuple[str, int | None, str | None, object]]:
        return [(r.kind, r.agent, r.call, r.body.get("members") or r.body.get("steps")) for r in log.records]

    assert form(first) == form(second)
