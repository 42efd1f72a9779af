"""How long things take and what they cost: steps, transfers of KV cache, energy; and presets of hardware and model.

Sources: the linear step time is FairBatching's (arXiv 2510.14392, section on batch time); transfer and A40 figures are
ConServe's (arXiv 2606.01839 and its research artifact).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import attrs

from mtpo.schedulers.types import StepModel

_not_negative = attrs.validators.ge(0.0)


@attrs.frozen
class Line:
    """Seconds of one step: ``max(floor, a + b * new + c * context + d * pairs + e * requests)``.

    ``new`` tokens are computed in the step; ``context`` is the sum, over the requests of the batch, of their tokens
    with keys and values after the step; ``pairs`` is the attention of prefill: for a chunk of k tokens after h computed
    ones, (k - 1) * (h + k / 2), so that decodes add nothing to it. ``a`` in seconds, ``b`` and ``c`` in seconds per
    token, ``d`` in seconds per pair. ``e`` in seconds per request of the batch, where each costs something by itself,
    as on a processor that goes through their caches one by one. With d and e 0 it is the published three-term model.
    """

    a: float = attrs.field(validator=_not_negative)
    b: float = attrs.field(validator=_not_negative)
    c: float = attrs.field(default=0.0, validator=_not_negative)
    d: float = attrs.field(default=0.0, validator=_not_negative)
    floor: float = attrs.field(default=0.0, validator=_not_negative)
    e: float = attrs.field(default=0.0, validator=_not_negative)

    def seconds(self, new: int, context: int, pairs: float = 0.0, requests: int = 0) -> float:
        """How long a step takes."""
        return max(self.floor, self.a + self.b * new + self.c * context + self.d * pairs + self.e * requests)

    def arithmetic(self, new: int, pairs: float) -> float:
        """Seconds of a step that its new tokens take: the part that is bound by arithmetic, not by memory."""
        return self.b * new + self.d * pairs


@attrs.frozen
class Few(Line):
    """Steps of at most ``most`` new tokens, where those are computed another way than larger ones."""

    most: int = attrs.field(kw_only=True, validator=[attrs.validators.instance_of(int), attrs.validators.ge(1)])


@attrs.frozen
class StepTime(Line):
    """Seconds of one step, see :class:`Line`; where there is ``few``, that says it for the steps it is for, and the
    rest is of larger ones. Then a step may take longer than one with more tokens."""

    few: Few | None = None

    def seconds(self, new: int, context: int, pairs: float = 0.0, requests: int = 0) -> float:
        """How long a step takes."""
        few = self.few
        line = self if few is None or new > few.most else few
        return max(line.floor, line.a + line.b * new + line.c * context + line.d * pairs + line.e * requests)

    def arithmetic(self, new: int, pairs: float) -> float:
        """Seconds of a step that its new tokens take: the part that is bound by arithmetic, not by memory."""
        few = self.few
        line = self if few is None or new > few.most else few
        return line.b * new + line.d * pairs

    @property
    def shortest(self) -> float:
        """No step that computes anything is shorter."""
        beyond = 1 if self.few is None else self.few.most + 1
        return min(self.seconds(1, 1, 0.0, 1), self.seconds(beyond, beyond, 0.0, 1))

    @property
    def model(self) -> StepModel:
        """The published three terms of its larger steps, as a policy may know it."""
        return StepModel(self.a, self.b, self.c, self.floor)

    def prefill_seconds(self, tokens: int, chunk: int) -> float:
        """How long a prompt takes alone, in chunks of at most so many tokens."""
        total, done = 0.0, 0
        while done < tokens:
            k = min(chunk, tokens - done)
            total += self.seconds(k, done + k, (k - 1) * (done + k / 2), 1)
            done += k
        return total


@attrs.frozen
class Transfer:
    """Seconds to move the KV cache of some tokens between workers: ``small`` up to ``threshold`` tokens, beyond that
    ``base + per_token * tokens``."""

    small: float = 4.849e-3
    threshold: int = 1024
    base: float = 5.27e-3
    per_token: float = 0.985e-6

    def seconds(self, tokens: int) -> float:
        """How long a transfer takes."""
        return self.small if tokens <= self.threshold else self.base + self.per_token * tokens


@attrs.frozen
class Power:
    """Watts that a worker draws: ``busy`` in a step, ``idle`` between steps."""

    busy: float = attrs.field(validator=_not_negative)
    idle: float = attrs.field(validator=_not_negative)

    def joules(self, busy: float, total: float) -> float:
        """Energy of a worker that was busy for some of the seconds."""
        return self.busy * busy + self.idle * max(0.0, total - busy)


@attrs.frozen
class Hardware:
    """One kind of worker: an accelerator with a model on it. ``kv_tokens`` fit into its KV cache. ``source``: where the
    step times are from."""

    name: str
    step: StepTime
    kv_tokens: int
    power: Power
    transfer: Transfer = attrs.field(factory=Transfer)
    source: str = ""


A100_LLAMA_8B: Final = Hardware(
    "a100-llama3-8b",
    # Stand-ins for FairBatching's fit; 131,072 bytes of KV per token in what 90 % of 80 GB leave beside the weights.
    StepTime(a=8e-3, b=0.095e-3, c=0.13e-6),
    kv_tokens=427_000,
    power=Power(400.0, 60.0),
    source="stand-in coefficients for FairBatching's fit (arXiv 2510.14392), not measured",
)
A40_QWEN_06B: Final = Hardware(
    "a40-qwen3-0.6b",
    # Decode: max(14.4 ms, 6.6 ms + 0.000196 ms a KV token). b and d are fitted to the cold prefills of the artifact
    # (16k 0.70 s, 32k 2.10 s, 64k 7.1 s): without the quadratic term long prompts come out three times too fast.
    StepTime(a=6.6e-3, b=2.0e-5, c=1.96e-7, d=2.66e-9, floor=14.4e-3),
    kv_tokens=308_448,
    power=Power(300.0, 35.0),
    source="fitted to the cost model and cold prefills of ConServe's artifact (arXiv 2606.01839)",
)
A40_QWEN_06B_200W: Final = Hardware(
    "a40-qwen3-0.6b-200w",
    # The same capped at 200 W: cold prefills 16k 0.83 s, 32k 2.8 s, 64k 10.2 s; decode 2.5 % slower.
    StepTime(a=6.77e-3, b=1.5e-5, c=2.01e-7, d=4.25e-9, floor=14.76e-3),
    kv_tokens=308_448,
    power=Power(200.0, 35.0),
    source="fitted to the 200 W figures of ConServe's artifact (arXiv 2606.01839)",
)
H200_8B: Final = Hardware(
    "h200-8b",
    # An expectation from memory bandwidth and arithmetic rate, not a fit: 8 billion parameters in bf16.
    StepTime(a=6.5e-3, b=0.032e-3, c=0.035e-6),
    kv_tokens=800_000,
    power=Power(700.0, 75.0),
    source="an expectation from memory bandwidth and arithmetic rate, not measured",
)

PRESETS: Final[Mapping[str, Hardware]] = MappingProxyType(
    {one.name: one for one in (A100_LLAMA_8B, A40_QWEN_06B, A40_QWEN_06B_200W, H200_8B)}
)
"""Presets by name. Power while busy is the board's limit, idle power a typical reading; both are stand-ins."""
