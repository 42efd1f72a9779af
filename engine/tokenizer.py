"""The tokenizer and chat format of a model, built straight from the vocabulary in its GGUF file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE

from mtpo.engine.errors import EngineError

_CONTROL = 3
"""The GGUF token type of tokens that are no text."""


class ChatTokenizer:
    """Byte-level BPE (pre-tokenizer ``smollm``: digits one by one) and the ChatML form of messages."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        kind, form = fields.get("tokenizer.ggml.model"), fields.get("tokenizer.ggml.pre")
        if kind != "gpt2" or form != "smollm":
            raise EngineError(
                f"tokenizer {kind!r} with pre-tokenizer {form!r} is not supported; supported: gpt2, smollm"
            )
        words: Sequence[str] = fields["tokenizer.ggml.tokens"]
        merges = [tuple(line.split(" ")) for line in fields["tokenizer.ggml.merges"]]
        tokenizer = Tokenizer(BPE({word: i for i, word in enumerate(words)}, merges))
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
            ]
        )
        tokenizer.decoder = decoders.ByteLevel()
        types = fields["tokenizer.ggml.token_type"]
        special = [word for word, type in zip(words, types, strict=True) if type == _CONTROL]
        tokenizer.add_special_tokens([AddedToken(word, normalized=False, special=True) for word in special])
        self._tokenizer = tokenizer
        self.end = self._id("<|im_end|>")

    def _id(self, word: str) -> int:
        found = self._tokenizer.token_to_id(word)
        if found is None:
            raise EngineError(f"the vocabulary has no token {word}")
        return int(found)

    def encode(self, text: str) -> list[int]:
        """Tokens of a text, special tokens in it recognized."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens, special ones left out."""
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=True))

    def message(self, role: str, text: str) -> list[int]:
        """A whole message, as the model was trained to read it."""
        return self.encode(f"<|im_start|>{role}\n{text}<|im_end|>\n")

    def opening(self) -> list[int]:
        """What comes before the model's own message."""
        return self.encode("<|im_start|>assistant\n")

    def closing(self) -> list[int]:
        """What comes after the end token of the model's own message."""
        return self.encode("\n")
