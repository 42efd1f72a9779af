"""Measure in the simulator what a paper claims, and set the paper's figures beside ours.

NAME: fairbatching (tail of TTFT, capacity, cluster capacity), concur, conserve, composed (three layers together, this
project's beside published ones: an aim, not a paper's figure). Without --trace the workload is
generated, with lengths like those of the traces that the papers use; --trace FILE takes the file (see mtpo simulate
for --format), also looked for in $MTPO_TRACES. --quick takes about a minute: fewer requests, coarser searches; its
figures are less certain. --out FILE writes a page with plots. Policies run side by side, one a core.

Exit code 0 when every claim that could be judged holds in every setting shown, else 1.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from mtpo_core.cli.common import note, out, print_json, progress, usage, verb, writable

NEEDS_ARGUMENTS = True


@verb
def paper_command(
    name: Annotated[str, typer.Argument(help="fairbatching, concur, conserve or composed")],
    quick: Annotated[bool, typer.Option("--quick", help="about a minute")] = False,
    trace: Annotated[str | None, typer.Option(help="a trace file, or a generator as in mtpo simulate")] = None,
    format: Annotated[str | None, typer.Option(help="the format of the file, if not the one expected")] = None,
    output: Annotated[Path | None, typer.Option("--out", help="write a page with plots here")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="processes side by side; as many as cores by default")] = None,
    json: Annotated[bool, typer.Option("--json", help="machine-readable output")] = False,
) -> None:
    """See the module's docstring."""
    from mtpo.schedulers.papers import STUDIES
    from mtpo.schedulers.papers.page import can_plot, page
    from mtpo.schedulers.papers.side import cores
    from mtpo.schedulers.papers.table import Options, as_json, lines

    if name not in STUDIES:
        raise usage(f"unknown paper {name!r}; known: {', '.join(STUDIES)}")
    folder = os.environ.get("MTPO_TRACES")
    if trace is not None and folder and not Path(trace).exists() and (Path(folder) / trace).exists():
        trace = str(Path(folder) / trace)
    if output is not None:
        if output.is_dir() or not output.parent.is_dir():
            raise usage(f"--out {output}: {'is a folder' if output.is_dir() else 'its folder does not exist'}")
        writable(output, [Path(trace)] if trace else ())
    made: Any = importlib.import_module(STUDIES[name])
    if not (json or sys.stderr.isatty()):
        note(f"mtpo paper {name}: {'about a minute' if quick else 'some minutes; --quick is shorter'}")
    with progress(f"measuring {name}", json) as tell:
        study = made.study(Options(quick, trace, format, jobs or cores()), tell)
    if json:
        print_json(as_json(study))
    else:
        for line in lines(study):
            out.print(line)
    if output is not None:
        output.write_text(page(study), encoding="utf-8")
        if not can_plot():
            note("tables only, without plots: they need matplotlib (pip install '.[verify]' in a clone)")
        if not json:
            out.print(f"\npage: {output}")
    raise typer.Exit(0 if study.holds else 1)
