"""The engine: conversations, continuous batching with chunked prefill, forced decoding.

A request has no prefill or decode phase: it has tokens, of which some are computed, and catches up; when it has caught
up, the next token is sampled, or forced, and it is one behind again. What runs in a step is decided by a policy of
:mod:`mtpo.schedulers`. A conversation keeps its blocks between turns, until it is closed or they are needed.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import get_args

import attrs
import torch

from mtpo.engine.cache import BlockManager
from mtpo.engine.errors import BadValue, EngineError, as_real, as_whole, length_of, shown, tokens_of, told, whole
from mtpo.engine.model import Llama
from mtpo.engine.monitor import KVMonitor, Level
from mtpo.engine.sampler import Sampling, logprob, sample
from mtpo.engine.worker import Chunk, Worker
from mtpo.schedulers.step.sarathi import Sarathi
from mtpo.schedulers.types import (
    RequestView,
    StepDecision,
    StepMeasured,
    StepObservation,
    StepPolicy,
    Work,
    learned,
)


@attrs.frozen
class TurnResult:
    """A turn that ended. ``emitted`` tokens; ``logprobs`` (nats) of each under the model, also where it was forced;
    ``computed`` prompt tokens that had to be computed; ``steps`` first and last engine step; ``stopped`` early."""

    conversation: int
    emitted: tuple[int, ...]
    logprobs: tuple[float, ...]
    computed: int
    steps: tuple[int, int]
    stopped: bool = False


@attrs.frozen
class StepReport:
    """One engine step: its number, rows computed, wall time, requests preempted, turns that ended with it."""

    number: int
    tokens: int
    seconds: float
    preempted: tuple[int, ...]
    ended: tuple[TurnResult, ...]


@attrs.define(eq=False)
class _Turn:
    arrival: float
    first_step: int
    forced: tuple[int, ...] | None
    max_new: int
    stop: frozenset[int]
    sampling: Sampling
    generator: torch.Generator | None
    emitted: list[int] = attrs.Factory(list)
    logprobs: list[float] = attrs.Factory(list)
    computed: int = 0
    ttft_slo: float | None = None
    tpot_slo: float | None = None
    first: float | None = None


@attrs.define(eq=False)
class _Conversation:
    id: int
    tokens: list[int] = attrs.Factory(list)
    computed: int = 0
    turn: _Turn | None = None
    chain: list[bytes] = attrs.Factory(list)
    """Hashes of its leading blocks, as far as they were needed."""
    used: int = 0
    """The step in which its blocks were last used."""


class Engine:
    """One worker under one policy. ``blocks`` of ``block_size`` tokens; at most ``max_conversations`` open at once.

    Raises :class:`EngineError` for a setting that nothing could run with.
    """

    def __init__(
        self,
        model: Llama,
        policy: StepPolicy | None = None,
        *,
        blocks: int = 512,
        block_size: int = 16,
        max_tokens: int = 2048,
        max_requests: int = 64,
        max_conversations: int = 64,
        monitor: Level = "strict",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.max_tokens, self.max_requests = whole("max_tokens", max_tokens), whole("max_requests", max_requests)
        max_conversations = whole("max_conversations", max_conversations)
        if monitor not in get_args(Level):
            raise BadValue(f"monitor must be one of {', '.join(get_args(Level))}, got {shown(monitor)}")
        if not callable(clock):
            raise BadValue(f"clock must be a function that returns seconds, got {shown(clock)}")
        self.policy: StepPolicy = Sarathi(512) if policy is None else policy
        self._asked()
        self.worker = Worker(model, blocks, block_size)
        self.manager = BlockManager(blocks, block_size)
        self.monitor = None if monitor == "off" else KVMonitor(self.manager, max_conversations, monitor)
        self.clock = clock
        self.number = 0
        self._ids = list(range(max_conversations - 1, -1, -1))
        self._open: dict[int, _Conversation] = {}
        self._running: list[_Conversation] = []
        self._waiting: list[_Conversation] = []
        self._broken = ""
        self._ran: tuple[float, int, int] | None = None
        """The last step: when it was decided, its new tokens, its context; until its time is known."""
        self._measured: StepMeasured | None = None
        """The last step, until a policy has learned it."""

    # -- conversations -----------------------------------------------------------------------------------------

    def open(self) -> int:
        """Begin a conversation; returns its id."""
        if not self._ids:
            raise EngineError(f"too many conversations: {len(self._open)} are open; close one first")
        conversation = _Conversation(self._ids.pop())
        self._open[conversation.id] = conversation
        return conversation.id

    def submit(
        self,
        conversation: int,
        tokens: Sequence[int],
        *,
        max_new: int = 128,
        forced: Sequence[int] | None = None,
        stop: Sequence[int] = (),
        sampling: Sampling | None = None,
        ttft_slo: float | None = None,
        tpot_slo: float | None = None,
    ) -> None:
        """Append tokens to a conversation and generate: until a token in ``stop``, ``max_new`` tokens, or, when
        ``forced`` is given, exactly those tokens, one per step, through the same path as sampled ones.

        ``ttft_slo`` and ``tpot_slo`` (s) are objectives for a policy to look at. Raises :class:`EngineError`, and has
        then changed nothing.
        """
        found = self._find(conversation)
        where = f"conversation {conversation}"
        if found.turn is not None:
            raise EngineError(f"{where} is generating; stop that turn first")
        turn, prompt = self._turn(found, where, tokens, max_new, forced, stop, sampling, ttft_slo, tpot_slo)
        found.tokens += prompt
        found.turn = turn
        if not self.busy:
            self._ran = None  # the last turn was stopped; the idle time since then is not its step's
        if self.manager.tables.get(found.id):
            self._running.append(found)
        else:
            self._waiting.append(found)

    def _turn(
        self,
        found: _Conversation,
        where: str,
        tokens: Sequence[int],
        max_new: int,
        forced: Sequence[int] | None,
        stop: Sequence[int],
        sampling: Sampling | None,
        ttft_slo: float | None,
        tpot_slo: float | None,
    ) -> tuple[_Turn, tuple[int, ...]]:
        """What was asked for, checked, and the prompt."""
        for what, objective in (("ttft_slo", ttft_slo), ("tpot_slo", tpot_slo)):
            if objective is not None and (as_real(objective) or 0.0) <= 0.0:
                raise BadValue(f"{where}: {what} must be positive, got {shown(objective)}; finite seconds, or None")
        given = length_of(f"{where}: the prompt", tokens)
        wanted = as_whole(max_new) or 0
        if wanted < 1:
            raise BadValue(
                f"{where}: at least one new token must be asked for, in whole numbers; max_new is {shown(max_new)}"
            )
        if forced is not None:
            wanted = length_of(f"{where}: forced", forced)
            if not wanted:
                raise BadValue(f"{where}: at least one new token must be asked for; forced is empty")
        if not given and not found.tokens:
            raise BadValue(f"{where}: nothing to continue, the prompt is empty")
        # The first bound on what is given: anything longer is not even read.
        total = len(found.tokens) + given + wanted
        limit = min(self.worker.model.config.context, self.manager.total * self.manager.block_size)
        if total > limit:
            raise BadValue(f"{where} would reach {shown(total)} tokens; the context and the cache hold {limit}")
        length_of(f"{where}: stop", stop, ordered=False)
        if sampling is None:
            sampling = Sampling()
        if not isinstance(sampling, Sampling):
            raise BadValue(f"{where}: sampling must be a Sampling or None, got {shown(sampling)}")
        vocab = self.worker.model.config.vocab
        prompt = tokens_of(f"{where}: the prompt", tokens, vocab)
        turn = _Turn(
            self.clock(),
            self.number,
            None if forced is None else tokens_of(f"{where}: forced", forced, vocab),
            wanted,
            frozenset(tokens_of(f"{where}: stop", stop, vocab)),
            sampling,
            sampling.generator(),
            ttft_slo=as_real(ttft_slo),
            tpot_slo=as_real(tpot_slo),
        )
        return turn, prompt

    def stop(self, conversation: int) -> TurnResult | None:
        """End a turn at once. What was emitted stays in the conversation, and its KV too. None when it was idle."""
        found = self._find(conversation)
        return None if found.turn is None else self._end(found, stopped=True)

    def close(self, conversation: int) -> None:
        """Forget a conversation and release its blocks; full ones stay in the prefix cache."""
        id = self._find(conversation).id
        self.stop(id)
        self.manager.release(id)
        del self._open[id]
        self._ids.append(id)

    def length(self, conversation: int) -> int:
        """Tokens in a conversation."""
        return len(self._find(conversation).tokens)

    @property
    def busy(self) -> bool:
        """Whether any turn is under way."""
        return bool(self._running or self._waiting)

    def _find(self, conversation: int) -> _Conversation:
        id = as_whole(conversation)
        if id is None or id not in self._open:
            raise EngineError(f"no open conversation {shown(conversation)}")
        return self._open[id]

    # -- steps -------------------------------------------------------------------------------------------------

    def step(self) -> StepReport:
        """Run one batch. Does nothing when no turn is under way.

        Raises :class:`EngineError` for a policy that fails or a decision that can't be carried out, before anything
        is done for it: :attr:`policy` can be replaced by a better one, and the engine goes on. If
        something fails in the middle of a step (the model, a monitor), the books no longer say what is in the cache:
        every later step raises, and names what happened.
        """
        if self._broken:
            raise EngineError(f"the engine stopped in step {self.number} and can't go on: {self._broken}; open another")
        seen = self._observe()
        self._learn(seen.now)
        decide = self._asked()
        try:
            decided = decide(seen)
        except Exception as error:
            raise self._blame(f"raised {told(error)}") from error
        decision = self._checked(decided)
        self.number += 1
        try:
            report = self._run(decision, seen.now)
            if not self.busy:
                # A policy that fails to learn is told again by the next step, and the report is not lost.
                with contextlib.suppress(EngineError):
                    self._learn(self.clock())
            return report
        except BaseException as error:
            self._broken = told(error)
            raise

    def _learn(self, now: float) -> None:
        """Tell the policy how long the last step took, up to now: the policy's own time is part of it."""
        if self._ran is not None:
            began, new, context = self._ran
            self._measured, self._ran = StepMeasured(new, context, now - began), None
        if self._measured is None:
            return
        try:
            policy = learned(self.policy, self._measured)
        except Exception as error:
            raise self._blame(f"was to learn, and raised {told(error)}") from error
        if not callable(getattr(policy, "decide", None)):
            raise self._blame(f"learned, and returned {shown(policy)}, which is no policy")
        self.policy, self._measured = policy, None

    def _blame(self, reason: str) -> EngineError:
        return EngineError(" ".join(f"the policy {type(self.policy).__name__} {reason}; nothing was done".split()))

    def _asked(self) -> Callable[[StepObservation], object]:
        """The policy's method ``decide``."""
        decide: Callable[[StepObservation], object] | None = getattr(self.policy, "decide", None)
        if decide is None or not callable(decide) or isinstance(self.policy, type):
            raise BadValue(f"the policy must be an object with a method decide, got {shown(self.policy)}")
        return decide

    def _checked(self, decision: object) -> StepDecision:
        """A decision, once it is sure that it can be carried out: it names turns under way, each once, with work that
        they have, within the engine's caps, and the KV cache has room for all of it together."""
        if not isinstance(decision, StepDecision):
            raise self._blame(f"decided {shown(decision)}, which is no StepDecision")
        for what, field in (("work", decision.work), ("preempt", decision.preempt)):
            if not isinstance(field, (tuple, list)):
                raise self._blame(f"decided {what}={shown(field)}, which is no tuple")
        preempted = list[int]()
        for id in decision.preempt:
            known = as_whole(id)
            if known is None or self._open.get(known) not in self._running:
                raise self._blame(f"preempted request {shown(id)}, which is not running")
            if known in preempted:
                raise self._blame(f"preempted request {known} twice")
            preempted.append(known)
        given, kept, needed = dict[int, int](), list[list[int]](), 0
        for work in decision.work:
            if not isinstance(work, Work):
                raise self._blame(f"scheduled {shown(work)}, which is no Work")
            known, tokens = as_whole(work.id), as_whole(work.tokens)
            conversation = None if known is None else self._open.get(known)
            if known is None or conversation is None or conversation.turn is None:
                raise self._blame(f"scheduled request {shown(work.id)} which has no turn under way")
            if known in given:
                raise self._blame(f"scheduled request {known} twice")
            if known in preempted:
                raise self._blame(f"preempted request {known}, which is scheduled too")
            computed, table = conversation.computed, self.manager.tables.get(known, [])
            if conversation in self._waiting:
                table = self._found(conversation)
                computed = len(table) * self.manager.block_size
                kept.append(table)
            left = len(conversation.tokens) - computed
            if tokens is None or not 1 <= tokens <= left:
                reason = f"gave request {known} {shown(work.tokens)} tokens, it has {left} to compute"
                raise self._blame(reason if tokens is not None else f"{reason}, in whole numbers")
            given[known] = tokens
            needed += max(0, -(-(computed + tokens) // self.manager.block_size) - len(table))
        total = sum(given.values())
        if total > self.max_tokens or len(given) > self.max_requests:
            raise self._blame(
                f"scheduled {total} tokens of {len(given)} requests; "
                f"the engine's caps are {self.max_tokens} and {self.max_requests}"
            )
        kept += [self.manager.tables.get(c.id, []) for c in self._running if c.id not in preempted]
        room = self.manager.beside(kept)
        if needed > room:
            raise self._blame(
                f"overbooked the KV cache: {needed} more blocks are needed, {room} of {self.manager.total} can be had"
            )
        if self.busy and not given and not preempted:
            raise self._blame(f"scheduled nothing though {len(self._running + self._waiting)} turns wait")
        return StepDecision(tuple(Work(id, tokens) for id, tokens in given.items()), tuple(preempted))

    def _run(self, decision: StepDecision, now: float) -> StepReport:
        begin = time.perf_counter()
        for id in decision.preempt:
            self._preempt(self._open[id])
        # Every prefix is taken before any block is allocated, since an allocation may evict.
        for work in decision.work:
            if self._open[work.id] in self._waiting:
                self._admit(self._open[work.id])
        chunks = [self._prepare(work) for work in decision.work]
        if not chunks:
            return StepReport(self.number, 0, time.perf_counter() - begin, decision.preempt, ())
        for conversation, _ in chunks:
            self.manager.listener("begin", conversation.id)
        rows = iter(self.worker.run([chunk for _, chunk in chunks]))
        ended = []
        for conversation, chunk in chunks:
            self._computed(conversation, len(chunk.tokens))
            if chunk.wants:
                result = self._emit(conversation, next(rows))
                if result is not None:
                    ended.append(result)
        if self.monitor is not None:
            self.monitor.check()
        seconds = time.perf_counter() - begin
        tokens = sum(len(chunk.tokens) for _, chunk in chunks)
        self._ran = (now, tokens, sum(chunk.start + len(chunk.tokens) for _, chunk in chunks))
        return StepReport(self.number, tokens, seconds, decision.preempt, tuple(ended))

    def _found(self, conversation: _Conversation) -> list[int]:
        """What the prefix cache has of a conversation's tokens, all but the last."""
        return self.manager.match(conversation.tokens[:-1], conversation.chain)

    def _admit(self, conversation: _Conversation) -> None:
        """From the queue to the running ones, with the prefix that the cache has of it."""
        found = self._found(conversation)
        for block in found:
            self.manager.share(conversation.id, block)
        conversation.computed = len(found) * self.manager.block_size
        self._waiting.remove(conversation)
        self._running.append(conversation)

    def _observe(self) -> StepObservation:
        idle = Counter[int]()
        for conversation in self._open.values():
            if conversation.turn is None:
                idle.update(self.manager.tables.get(conversation.id, ()))
        # Idle conversations can share blocks, with each other and with running ones: a block counts once, and only
        # if nobody else holds it.
        reclaimable = sum(self.manager.references[block] == holders for block, holders in idle.items())
        return StepObservation(
            self.clock(),
            tuple(self._view(c, idle) for c in self._running),
            tuple(self._view_waiting(c, idle) for c in self._waiting),
            self.manager.available + reclaimable,
            self.manager.block_size,
            self.max_tokens,
            self.max_requests,
        )

    def _view(self, conversation: _Conversation, idle: Counter[int]) -> RequestView:
        turn = conversation.turn
        assert turn is not None
        table = self.manager.tables.get(conversation.id, ())
        shared = sum(self.manager.references[block] - idle[block] > 1 for block in table)
        known, emitted = len(conversation.tokens), len(turn.emitted)
        return RequestView(
            conversation.id,
            turn.arrival,
            known,
            conversation.computed,
            emitted,
            len(table),
            shared,
            ttft_slo=turn.ttft_slo,
            tpot_slo=turn.tpot_slo,
            first=turn.first,
            most=known - emitted + turn.max_new,
        )

    def _view_waiting(self, conversation: _Conversation, idle: Counter[int]) -> RequestView:
        turn = conversation.turn
        assert turn is not None
        found = self._found(conversation)
        cached = sum(self.manager.references[block] == idle[block] for block in found)
        known, emitted, computed = len(conversation.tokens), len(turn.emitted), len(found) * self.manager.block_size
        return RequestView(
            conversation.id,
            turn.arrival,
            known,
            computed,
            emitted,
            len(found),
            cached=cached,
            ttft_slo=turn.ttft_slo,
            tpot_slo=turn.tpot_slo,
            first=turn.first,
            most=known - emitted + turn.max_new,
        )

    def _prepare(self, work: Work) -> tuple[_Conversation, Chunk]:
        conversation = self._open[work.id]
        stop = conversation.computed + work.tokens
        while len(self.manager.tables.get(conversation.id, ())) * self.manager.block_size < stop:
            while not self.manager.available:
                self._reclaim()
            self.manager.allocate(conversation.id)
        conversation.used = self.number
        tokens = conversation.tokens[conversation.computed : stop]
        table = self.manager.tables[conversation.id]
        return conversation, Chunk(tokens, conversation.computed, table, stop == len(conversation.tokens))

    def _reclaim(self) -> None:
        """Take the blocks of the least recently used idle conversation; it is computed again when it goes on."""
        idle = [c for c in self._open.values() if c.turn is None and self.manager.tables.get(c.id)]
        if not idle:
            raise EngineError("the KV cache is full and no conversation is idle: the policy overbooked it")
        oldest = min(idle, key=lambda c: c.used)
        self.manager.release(oldest.id)
        oldest.computed = 0

    def _preempt(self, conversation: _Conversation) -> None:
        """By recomputation: its blocks go, its tokens stay, it waits first in line."""
        self._running.remove(conversation)
        self._waiting.insert(0, conversation)
        self.manager.release(conversation.id)
        conversation.computed = 0

    def _computed(self, conversation: _Conversation, tokens: int) -> None:
        """Account for computed tokens: full blocks are filled and, once the step is complete, published."""
        size = self.manager.block_size
        before, after = conversation.computed, conversation.computed + tokens
        conversation.computed = after
        turn = conversation.turn
        assert turn is not None
        if not turn.emitted:
            turn.computed += tokens
        full = range(before // size, after // size)
        table = self.manager.tables[conversation.id]
        for position in full:
            self.manager.fill(conversation.id, table[position])
        self.manager.listener("complete", conversation.id)
        for position in full:
            self.manager.publish(
                conversation.id, position, conversation.tokens[position * size : (position + 1) * size]
            )

    def _emit(self, conversation: _Conversation, logits: torch.Tensor) -> TurnResult | None:
        turn = conversation.turn
        assert turn is not None
        if turn.forced is not None:
            token = turn.forced[len(turn.emitted)]
        else:
            token = sample(logits, turn.sampling, turn.generator)
        if turn.first is None:
            turn.first = self.clock()
        turn.emitted.append(token)
        turn.logprobs.append(logprob(logits, token))
        conversation.tokens.append(token)
        if len(turn.emitted) == turn.max_new or (turn.forced is None and token in turn.stop):
            return self._end(conversation, stopped=False)
        return None

    def _end(self, conversation: _Conversation, stopped: bool) -> TurnResult:
        turn = conversation.turn
        assert turn is not None
        conversation.turn = None
        for queue in (self._running, self._waiting):
            if conversation in queue:
                queue.remove(conversation)
        steps = (turn.first_step, self.number)
        return TurnResult(conversation.id, tuple(turn.emitted), tuple(turn.logprobs), turn.computed, steps, stopped)
