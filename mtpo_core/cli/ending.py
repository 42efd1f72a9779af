"""How a verb that shows violating runs ends: pictures, files for viewers, text or JSON, and the exit code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from mtpo_core.cli.common import drawn, out, print_json, worst, writable


@attrs.frozen
class Ending:
    """What is asked for: ``itf`` a folder, ``picture`` a page, and ``json`` instead of text."""

    itf: Path | None
    picture: Path | None
    json: bool

    def tell(
        self, verdicts: list[Any], title: str, data: Callable[[], Any], show: Callable[[], None], *codes: int
    ) -> int:
        """Write and print it all: ``data`` for JSON, else what ``show`` prints; and return the exit code, the worst of
        that of the verdicts and ``codes``."""
        from mtpo.proofs.pictures.itf import write_itf
        from mtpo.proofs.pictures.picture import pictures_of, write_picture
        from mtpo.proofs.verdicts import exit_code

        if self.itf is not None:
            write_itf(verdicts, self.itf)
        cases = pictures_of(verdicts)
        if self.picture is not None:
            write_picture(cases, writable(self.picture), title)
        if self.json:
            print_json(data())
        else:
            show()
            if self.picture is not None:
                out.print(drawn(cases, self.picture))
        return worst(exit_code(verdicts), *codes)


def show_verdict(verdict: Any, what: str) -> None:
    """A line for a verdict; where it has a run, the run, and why the property is false there."""
    from mtpo.proofs.exploration.refuted import refuting_reasons
    from mtpo.proofs.pictures.picture import reasons_of

    out.print(f"{verdict.status:<8} {verdict.property:<36} {verdict.method}{': ' if what else ''}{what}")
    if verdict.trace:
        property = verdict.trace.instance.spec.properties.get(verdict.property)
        why = reasons_of if property is None or property.refutes is None else refuting_reasons
        reasons = [line for reason in why(verdict.trace, verdict.property) for line in reason.lines()]
        out.print("\n".join(f"         {line}" for line in (*verdict.trace.lines(), *reasons)))
