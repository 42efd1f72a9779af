"""Minds: what decides. ``next(messages)`` is a function of what the agent has seen, and of nothing else."""

from mtpo_core.minds.base import Message, Mind
from mtpo_core.minds.replayed import Memory, Move, ReplayedMind, Unknown

__all__ = ["Memory", "Message", "Mind", "Move", "ReplayedMind", "Unknown"]
