"""Choosing what generates the text of a run."""

from __future__ import annotations

from collections.abc import Callable

from mtpo_core.inference import Inference, NoInference

ENGINES = ("smollm2", "none")


class NoSuchEngine(ValueError):
    """No inference of that name."""


def check_engine(name: str) -> None:
    """Raises :class:`NoSuchEngine` for a name that :func:`inference_factory` does not know; loads nothing."""
    if name not in ENGINES:
        raise NoSuchEngine(f"unknown inference {name!r}; known: {', '.join(ENGINES)}")


def inference_factory(name: str) -> Callable[[], Inference]:
    """A maker of inferences, one for each run; the model behind them is loaded once.

    ``smollm2`` is the engine with SmolLM2-135M-Instruct; ``none`` counts steps and says so.
    """
    check_engine(name)
    if name == "none":
        return NoInference
    from mtpo_core.engine_inference import EngineInference, load_model

    model = load_model()
    return lambda: EngineInference(model)
