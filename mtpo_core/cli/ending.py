"""How a verb that shows violating runs ends: pictures, files for viewers, text or JSON, and the exit code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from mtpo_core.cli.common import drawn, out, print_json, worst, writable, written


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
        from mtpo.proofs.pictures.picture import write_picture
        from mtpo.proofs.pictures.shown import pictures_of
        from mtpo.proofs.verdicts import exit_code

        cases = pictures_of(verdicts)
        page = writable(self.picture) if self.picture is not None else None
        files = write_itf(verdicts, self.itf) if self.itf is not None else []
        if page is not None:
            write_picture(cases, page, title)
        if self.json:
            print_json(data())
        else:
            show()
            if self.itf is not None:
                out.print(written(files, self.itf))
            if page is not None:
                out.print(drawn(cases, page))
        return worst(exit_code(verdicts), *codes)


def show_verdict(verdict: Any, what: str) -> None:
    """A line for a verdict; where it has a run, the run, and why the property is false there."""
    from mtpo.proofs.pictures.shown import why_lines

    out.print(f"{verdict.status:<8} {verdict.property:<36} {verdict.method}{': ' if what else ''}{what}")
    if verdict.trace:
        lines = (*verdict.trace.lines(), *why_lines(verdict, verdict.trace))
        out.print("\n".join(f"         {line}" for line in lines))
