"""A problem: one property that does not hold, and where."""

from __future__ import annotations

import attrs


@attrs.frozen
class Problem:
    """``property`` is the id of what does not hold (``log.chain``), ``where`` the place, ``what`` the reason."""

    property: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.property}: {self.where}: {self.what}"
