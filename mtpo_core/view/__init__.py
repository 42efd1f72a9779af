"""The page of a run: lanes, arrows, write trajectories and the verdict in one self-contained HTML file."""

from mtpo_core.view.page import render
from mtpo_core.view.shapes import Timeline, Verdict, ViewError
from mtpo_core.view.timeline import timeline_of

__all__ = ["Timeline", "Verdict", "ViewError", "render", "timeline_of"]
