"""Policies by name: a built-in one with its arguments, ``sarathi:512``, ``concur:alpha=2,beta=0.5``, or a user's own
class, ``module:Class``."""

from __future__ import annotations

import importlib
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, overload

from mtpo.schedulers.admission.caps import AgentCap, NoLimit, RequestCap
from mtpo.schedulers.admission.concur import Concur
from mtpo.schedulers.admission.footprint import Footprint
from mtpo.schedulers.placement.conserve import Ampd, ConServe
from mtpo.schedulers.placement.failover import Failover
from mtpo.schedulers.placement.pab import PrefillBudgetRouting
from mtpo.schedulers.placement.simple import Collocated, FullDisaggregation, OneWorker
from mtpo.schedulers.step.bounded_gap import BoundedGap
from mtpo.schedulers.step.calibrator import Calibrator
from mtpo.schedulers.step.deadlines import Objectives
from mtpo.schedulers.step.fairbatching import FairBatching
from mtpo.schedulers.step.prefill_first import PrefillFirst
from mtpo.schedulers.step.sarathi import Sarathi
from mtpo.schedulers.step.vllm_v1 import VllmV1
from mtpo.schedulers.traces.workload import plain
from mtpo.schedulers.types import AdmissionPolicy, PlacementPolicy, StepModel, StepPolicy

Layer = Literal["step", "admission", "placement"]


class PolicyError(ValueError):
    """A policy that can't be loaded; the message says in one line which and why."""


def _fairbatching(
    a: float = 8e-3,
    b: float = 0.095e-3,
    c: float = 0.13e-6,
    floor: float = 0.0,
    learns: bool = True,
    forgetting: float = 0.995,
    ttft: float = 1.0,
    tpot: float = 0.05,
    reanchor: bool = False,
    cap: float | None = None,
    idle: float = 0.25,
) -> FairBatching:
    calibrator = Calibrator(StepModel(a, b, c, floor), forgetting)
    return FairBatching(calibrator, Objectives(ttft, tpot, reanchor), idle, cap, learns)


def _bounded_gap(
    gap: float = 0.2,
    a: float = 8e-3,
    b: float = 0.095e-3,
    c: float = 0.13e-6,
    floor: float = 0.0,
    learns: bool = True,
    forgetting: float = 0.995,
    ttft: float = 1.0,
    tpot: float = 0.05,
    reanchor: bool = False,
    relegate: bool = False,
) -> BoundedGap:
    calibrator = Calibrator(StepModel(a, b, c, floor), forgetting)
    return BoundedGap(gap, calibrator, Objectives(ttft, tpot, reanchor), learns, relegate)


def _ampd(
    error: float = 0.1, seed: int = 0, oracle: bool = False, poll: float | None = None, first: bool = False
) -> Ampd:
    return Ampd(error, seed, ConServe(oracle, poll), first)


def _pab(
    full: Literal["hold", "shed", "route"] = "hold",
    a: float = 8e-3,
    b: float = 0.095e-3,
    c: float = 0.13e-6,
    ttft: float = 1.0,
    tpot: float = 0.05,
) -> PrefillBudgetRouting:
    return PrefillBudgetRouting(StepModel(a, b, c), Objectives(ttft, tpot), full)


NAMED: Final[Mapping[Layer, Mapping[str, Callable[..., Any]]]] = MappingProxyType(
    {
        "step": {
            "prefill_first": PrefillFirst,
            "vllm_v1": VllmV1,
            "sarathi": Sarathi,
            "fairbatching": _fairbatching,
            "bounded_gap": _bounded_gap,
        },
        "admission": {
            "none": NoLimit,
            "request_cap": RequestCap,
            "agent_cap": AgentCap,
            "concur": Concur,
            "footprint": Footprint,
        },
        "placement": {
            "one_worker": OneWorker,
            "collocated": Collocated,
            "full_disaggregation": FullDisaggregation,
            "ampd": _ampd,
            "conserve": ConServe,
            "failover": Failover,
            "pab": _pab,
        },
    }
)
"""Built-in policies of each layer. Arguments are those of the callable, by position or by name."""


WHOLE_TURNS: Final = frozenset({"one_worker", "collocated", "pab"})
"""Placements that compute whole turns on one worker: each worker has to prefill and to decode."""


@overload
def load_policy(name: str, layer: Literal["step"] = ...) -> StepPolicy: ...
@overload
def load_policy(name: str, layer: Literal["admission"]) -> AdmissionPolicy: ...
@overload
def load_policy(name: str, layer: Literal["placement"]) -> PlacementPolicy: ...
def load_policy(name: str, layer: Layer = "step") -> Any:
    """A built-in policy, ``NAME`` or ``NAME:ARGUMENTS``, or an instance of the class in ``MODULE:CLASS``.

    Arguments are separated by commas, ``VALUE`` or ``KEY=VALUE``; yes and no are switches, none leaves something out.
    Raises :class:`PolicyError`.
    """
    head, colon, tail = name.partition(":")
    if head in NAMED[layer]:
        return _built_in(name, NAMED[layer][head], tail)
    if not (head and colon and tail):
        known = ", ".join(NAMED[layer])
        raise PolicyError(
            f"{layer} policy {name!r} is not known; known: {known}, or module:Class{_elsewhere(head, layer)}"
        )
    return _users(name, head, tail, layer)


def split_policies(text: str, layer: Layer = "step") -> list[str]:
    """The names in a list separated by commas: what neither begins with a known name nor has a colon is an argument of
    the policy before it."""
    names: list[str] = []
    for piece in text.split(","):
        if not names or ":" in piece or piece.strip() in NAMED[layer]:
            names.append(piece.strip())
        else:
            names[-1] += f",{piece.strip()}"
    return names


def _elsewhere(head: str, layer: Layer) -> str:
    for other, names in NAMED.items():
        if other != layer and head in names:
            return f"; {head} is a policy of the layer {other}"
    return ""


def _built_in(name: str, make: Callable[..., Any], arguments: str) -> Any:
    hints = typing.get_type_hints(make)
    parameters = list(inspect.signature(make).parameters)
    given: dict[str, Any] = {}
    for position, argument in enumerate(filter(None, arguments.split(","))):
        key, equals, text = argument.partition("=")
        if not equals:
            if position >= len(parameters):
                raise PolicyError(f"policy {name!r}: it takes no argument {argument!r}{_takes(parameters)}")
            key, text = parameters[position], argument
        key, text = key.strip(), text.strip()
        if key not in parameters:
            raise PolicyError(f"policy {name!r}: it has no parameter {key!r}{_takes(parameters)}")
        if key in given:
            raise PolicyError(f"policy {name!r}: {key} is given twice")
        given[key] = _value(name, key, text, hints[key])
    for parameter in inspect.signature(make).parameters.values():
        if parameter.default is parameter.empty and parameter.name not in given:
            raise PolicyError(
                f"policy {name!r}: it needs {parameter.name}, as in {name.split(':')[0]}:{parameter.name}=8"
            )
    try:
        return make(**given)
    except ValueError as error:
        raise PolicyError(f"policy {name!r}: {error.args[0]}") from None


def _takes(parameters: list[str]) -> str:
    return f"; it takes {', '.join(parameters)}" if parameters else "; it takes none"


def _value(name: str, key: str, text: str, hint: Any) -> Any:
    kinds = list(typing.get_args(hint)) if isinstance(hint, types.UnionType) else [hint]
    if type(None) in kinds:
        if text == "none":
            return None
        kinds.remove(type(None))
    (kind,) = kinds
    if kind is bool:
        if text in {"yes", "true", "no", "false"}:
            return text in {"yes", "true"}
        raise PolicyError(f"policy {name!r}: {key} must be yes or no, got {text!r}")
    if typing.get_origin(kind) is Literal:
        if text in typing.get_args(kind):
            return text
        raise PolicyError(f"policy {name!r}: {key} must be one of {', '.join(typing.get_args(kind))}, got {text!r}")
    try:
        value = kind(plain(text)) if isinstance(kind, type) and issubclass(kind, int | float) else kind(text)
        if value != value or value in (float("inf"), float("-inf")):
            raise ValueError
    except ValueError:
        wanted = "a whole number" if kind is int else "a number"
        raise PolicyError(f"policy {name!r}: {key} must be {wanted}, got {text!r}") from None
    return value


def _users(name: str, head: str, tail: str, layer: Layer) -> Any:
    try:
        module = importlib.import_module(head)
    except Exception as error:  # noqa: BLE001  whatever a user's module raises while it is imported
        raise PolicyError(f"policy {name!r}: module {head} can't be imported ({_line(error)})") from None
    found = getattr(module, tail, None)
    if not isinstance(found, type):
        raise PolicyError(f"policy {name!r}: module {head} has no class {tail}")
    try:
        policy = found()
    except Exception as error:  # noqa: BLE001  whatever a user's class raises
        raise PolicyError(f"policy {name!r}: {tail}() failed ({_line(error)})") from None
    if not callable(getattr(policy, "decide", None)):
        raise PolicyError(f"policy {name!r}: {tail} has no method decide(observation)")
    if layer == "admission" and not hasattr(policy, "interval"):
        raise PolicyError(f"policy {name!r}: {tail} has no interval (seconds between decisions, or None)")
    return policy


def _line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
