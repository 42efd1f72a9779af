"""Draw runs as one self-contained HTML page: lanes in rank order, notifications, undone writes, verdict.

A damaged or altered log is drawn as far as it can be read, and what is damaged is named; exit code 1 then.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mtpo_core.cli.common import out, verb, writable

NEEDS_ARGUMENTS = True


@verb
def view_command(
    logs: Annotated[list[Path], typer.Argument(help="logs of runs; several of one case are shown on one time scale")],
    output: Annotated[Path, typer.Option("--output", "-o", help="the page to write")] = Path("run.html"),
) -> None:
    """See the module's docstring."""
    from mtpo_core.cli.logs import opened, tell_damaged
    from mtpo_core.cli.pages import page_of

    runs = [opened(path) for path in logs]
    writable(output, logs).write_text(page_of(runs), encoding="utf-8")
    out.print(f"page: {output}")
    if sum(map(tell_damaged, runs)):
        raise typer.Exit(1)
