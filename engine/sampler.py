"""From logits to a token."""

from __future__ import annotations

import attrs
import torch

from mtpo.engine.errors import BadValue, as_real, shown, whole

_COLDEST, _HOTTEST, _LEAST_MASS = 1e-5, 1e5, 1e-10
"""Bounds within which no probability under- or overflows in fp32; what lies beyond is as good as greedy or uniform."""


def _temperature(value: object) -> float:
    found = as_real(value)
    if found is None or not (found == 0.0 or _COLDEST <= found <= _HOTTEST):
        raise BadValue(f"temperature must be 0 (greedy) or from {_COLDEST:g} to {_HOTTEST:g}, got {shown(value)}")
    return found


def _top_p(value: object) -> float:
    found = as_real(value)
    if found is None or not _LEAST_MASS <= found <= 1.0:
        raise BadValue(f"top_p must be from {_LEAST_MASS:g} to 1, got {shown(value)}")
    return found


def _seed(value: object) -> int:
    return whole("seed", value, -(1 << 63), (1 << 64) - 1)


@attrs.frozen
class Sampling:
    """``temperature`` 0 is greedy; else (1e-5 to 1e5) the smallest set of tokens with mass ``top_p`` (1e-10 to 1),
    sampled with ``seed`` (-2**63 to 2**64 - 1). Raises :class:`~mtpo.engine.errors.BadValue`."""

    temperature: float = attrs.field(default=0.0, converter=_temperature)
    top_p: float = attrs.field(default=1.0, converter=_top_p)
    seed: int = attrs.field(default=0, converter=_seed)

    def generator(self) -> torch.Generator | None:
        """The random source of one turn; None when greedy."""
        return None if self.temperature == 0.0 else torch.Generator().manual_seed(self.seed)


def sample(logits: torch.Tensor, sampling: Sampling, generator: torch.Generator | None) -> int:
    """A token for one row of logits (vocab,)."""
    if generator is None:
        return int(logits.argmax())
    probabilities = torch.softmax(logits / sampling.temperature, dim=-1).cpu()
    ordered, tokens = probabilities.sort(descending=True)
    kept = ordered.cumsum(0) - ordered < sampling.top_p
    weights = torch.where(kept, ordered, torch.zeros_like(ordered))
    return int(tokens[torch.multinomial(weights, 1, generator=generator)])


def logprob(logits: torch.Tensor, token: int) -> float:
    """The log-probability (nats) of a token under one row of logits."""
    return float(logits[token] - logits.logsumexp(-1))
