"""The text of replayed minds, forced through the engine token by token."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import attrs

from mtpo_core.inference import Generated
from mtpo_core.minds.base import Message

_ROLES = {"system": "system", "user": "user", "tool": "user"}
"""The chat format of the model has no role for tool results; they are told by the user."""


@attrs.frozen(eq=False)
class LoadedModel:
    """A model and its tokenizer."""

    model: Any
    tokenizer: Any
    name: str


def load_model(dtype: str = "float32") -> LoadedModel:
    """SmolLM2-135M-Instruct from its package, on the CPU. Raises EngineError when it is not installed."""
    import mtpo.engine  # noqa: F401 - before torch: it sets how threads wait

    # isort: split
    import torch

    from mtpo.engine.model import Llama
    from mtpo.engine.threads import choose_threads
    from mtpo.engine.tokenizer import ChatTokenizer
    from mtpo.engine.weights import find_smollm2, load_gguf

    files = load_gguf(find_smollm2())
    model = Llama(files, getattr(torch, dtype))
    threads = choose_threads(model)
    name = f"SmolLM2-135M-Instruct, {dtype}, {threads} thread{'s' if threads > 1 else ''}, text forced"
    return LoadedModel(model, ChatTokenizer(files.fields), name)


class EngineInference:
    """One engine for one run: each agent is a conversation, which keeps its KV between turns."""

    def __init__(self, loaded: LoadedModel) -> None:
        from mtpo.engine.engine import Engine

        self.loaded = loaded
        self.name = loaded.name
        self.engine = Engine(loaded.model)
        self._conversations: dict[int, int] = {}
        self._heard: dict[int, int] = {}
        self._cut: set[int] = set()

    def begin(self, agent: int, messages: Sequence[Message], text: str) -> None:
        """See :class:`~mtpo_core.inference.Inference`."""
        tokenizer = self.loaded.tokenizer
        if agent not in self._conversations:
            self._conversations[agent] = self.engine.open()
            self._heard[agent] = 0
            prompt: list[int] = []
        else:
            # A message that was cut short lacks the token that ends it.
            prompt = [tokenizer.end, *tokenizer.closing()] if agent in self._cut else list(tokenizer.closing())
        self._cut.discard(agent)
        for message in messages[self._heard[agent] :]:
            if message.role != "assistant":
                prompt += tokenizer.message(_ROLES[message.role], message.text)
        self._heard[agent] = len(messages)
        prompt += tokenizer.opening()
        self.engine.submit(self._conversations[agent], prompt, forced=[*tokenizer.encode(text), tokenizer.end])

    def advance(self) -> list[Generated]:
        """See :class:`~mtpo_core.inference.Inference`."""
        agents = {conversation: agent for agent, conversation in self._conversations.items()}
        return [self._generated(agents[result.conversation], result) for result in self.engine.step().ended]

    def stop(self, agent: int) -> Generated | None:
        """See :class:`~mtpo_core.inference.Inference`: the beginning of the message stays in the context, ended."""
        result = self.engine.stop(self._conversations[agent])
        if result is None:
            return None
        self._cut.add(agent)
        return self._generated(agent, result)

    def _generated(self, agent: int, result: Any) -> Generated:
        return Generated(agent, result.computed, len(result.emitted), result.steps)

    def close(self) -> None:
        """See :class:`~mtpo_core.inference.Inference`."""
        for conversation in self._conversations.values():
            self.engine.close(conversation)
        self._conversations.clear()


def sample(inference: EngineInference, prompt: str, tokens: int) -> tuple[str, float]:
    """What the model itself says, greedily, and the seconds it took."""
    begin = time.perf_counter()
    tokenizer, engine = inference.loaded.tokenizer, inference.engine
    conversation = engine.open()
    engine.submit(conversation, tokenizer.encode(prompt), max_new=tokens, stop=[tokenizer.end])
    emitted: tuple[int, ...] = ()
    while engine.busy:
        for result in engine.step().ended:
            emitted = result.emitted
    engine.close(conversation)
    return tokenizer.decode(emitted), time.perf_counter() - begin
