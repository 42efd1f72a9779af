"""From logits to a token."""

from __future__ import annotations

import attrs
import torch


@attrs.frozen
class Sampling:
    """``temperature`` 0 is greedy; else the smallest set of tokens with mass ``top_p``, sampled with ``seed``."""

    temperature: float = attrs.field(default=0.0, validator=attrs.validators.ge(0.0))
    top_p: float = attrs.field(default=1.0, validator=[attrs.validators.gt(0.0), attrs.validators.le(1.0)])
    seed: int = 0

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
