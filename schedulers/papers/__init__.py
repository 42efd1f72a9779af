"""What papers claim, measured here: one module a paper, each a study in the simulator.

``table`` the records of a study and their text, ``page`` the same as one HTML page with plots, ``side`` simulations
side by side in processes. A study's module has ``study(options, tell)``, and ``CLAIM``, a line on what it measures.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

STUDIES: Final = MappingProxyType(
    {
        "fairbatching": "mtpo.schedulers.papers.fairbatching",
        "concur": "mtpo.schedulers.papers.concur",
        "conserve": "mtpo.schedulers.papers.conserve",
        "composed": "mtpo.schedulers.papers.composed",
    }
)
"""Modules of the studies by the paper's name."""
