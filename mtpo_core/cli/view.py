"""Draw runs as one self-contained HTML page: lanes in rank order, notifications, undone writes, verdict. The head
of a page of several runs tells the worst verdict among them, and whose it is. Several of one case and mode go by their
policies, or by their files.

The final state of a run that `mtpo run` or `mtpo demo` made is compared with those of serial runs, which are made anew.
A damaged or altered log is drawn as far as it can be read, and what is damaged is named; exit code 1 then.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mtpo_core.cli.common import out, progress, verb, writable

NEEDS_ARGUMENTS = True


@verb
def view_command(
    logs: Annotated[list[Path], typer.Argument(help="logs of runs; several of one case are shown on one time scale")],
    output: Annotated[Path, typer.Option("--output", "-o", help="the page to write")] = Path("run.html"),
) -> None:
    """See the module's docstring."""
    from mtpo_core.cli.logs import opened, tell_damaged
    from mtpo_core.cli.outcomes import right_of
    from mtpo_core.cli.pages import page_of

    runs = [opened(path) for path in logs]
    writable(output, logs)
    with progress("running the case in series, to compare"):
        right = {run.path: right_of(run) for run in runs}
    output.write_text(page_of(runs, right), encoding="utf-8")
    out.print(f"page: {output}")
    for path, why in right.items():
        if isinstance(why, str):
            out.print(f"final state of {path} not checked: {why}; `mtpo verify` judges the run by its log")
    if sum(map(tell_damaged, runs)):
        raise typer.Exit(1)
