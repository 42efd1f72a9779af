"""Draw runs as one self-contained HTML page: lanes in rank order, notifications, undone writes, verdict."""

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
    from mtpo_core.cli.pages import page_of
    from mtpo_core.log import read_log

    writable(output).write_text(page_of([read_log(path) for path in logs]), encoding="utf-8")
    out.print(f"page: {output}")
