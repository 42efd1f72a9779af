"""Choosing what generates the text of a run."""

from __future__ import annotations

from collections.abc import Callable

from mtpo_core.inference import Inference, NoInference

ENGINES = ("smollm2", "none")


class NoSuchEngine(ValueError):
    """No inference of that name."""


def inference_factory(name: str) -> Callable[[], Inference]:
    """A maker of inferences, one for each run; the model behind them is loaded once.

    ``smollm2`` is the engine with SmolLM2-135M-Instruct; ``none`` counts steps and says so.
    """
    if name == "none":
        return NoInference
    if name != "smollm2":
        raise NoSuchEngine(f"unknown inference {name!r}; known: {', '.join(ENGINES)}")
    from mtpo_core.engine_inference import EngineInference, load_model

    model = load_model()
    return lambda: EngineInference(model)
