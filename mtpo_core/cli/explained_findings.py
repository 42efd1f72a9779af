"""The findings for ``explain``: all of them as a list, and their traces drawn, one a page or all in a folder."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtpo_core.cli.common import counted, lacking, note, out, print_json, progress, usage, writable

if TYPE_CHECKING:
    from mtpo.proofs.findings import Finding


def draw_finding(id: str, picture: Path, json: bool) -> None:
    """Draw the traces of one finding."""
    from mtpo.proofs.findings import findings
    from mtpo.proofs.findings.page import page_of

    finding = findings().get(id.upper())
    if finding is None:
        known = f"{next(iter(findings()))} to {list(findings())[-1]}"
        raise usage(
            f"--picture draws a finding, {known}, and {id} is none; `mtpo mutate SPEC --only CLAUSE --picture "
            "PAGE.html` draws a clause"
        )
    writable(picture)
    with progress(f"making the traces of {finding.id}", json):
        page = page_of(finding, _standing(finding))
    picture.write_text(page, encoding="utf-8")
    if json:
        print_json(finding_data(finding) | {"picture": str(picture)})
    else:
        out.print("\n".join(finding.lines()))
        out.print(f"\npicture: {picture}")


def finding_data(finding: Finding) -> dict[str, Any]:
    """One finding as plain data, with its traces, which are made for it; without, where the extra that makes them is
    not installed."""
    try:
        from mtpo.proofs.findings.catalogue import TRACES
        from mtpo.proofs.findings.written import written
    except ModuleNotFoundError as error:
        note(f"the finding alone, without its traces: these need {lacking(error)}")
        return finding.as_json() | {"traces": None, "names": None}
    traces = [written(name, one) for name, one in TRACES.get(finding.id, {}).items()]
    return finding.as_json() | {"traces": traces, "names": [row.as_json() for row in _standing(finding)]}


def told_as_data(id: str) -> None:
    """One finding for ``--json``."""
    from mtpo.proofs.findings import findings

    print_json(finding_data(findings()[id]))


def list_findings(folder: Path | None, json: bool) -> None:
    """List all findings, and draw them if a folder is given. What their traces show is left out where the extra that
    makes them is not installed."""
    from mtpo.proofs.findings import findings

    every = list(findings().values())
    if folder is not None:
        draw_all(every, folder, json)
    kinds: Callable[[Finding], str] | None = None
    try:
        from mtpo.proofs.findings.page import kinds
    except ModuleNotFoundError as error:
        note(f"the findings alone, without their traces: these need {lacking(error)}")
    if json:
        data = [one.as_json() if kinds is None else _data(one) for one in every]
        print_json({"findings": data, "pictures": folder and str(folder)})
        return
    for one in every:
        out.print(f"{one.id:<4} {one.title}{f'  ({kinds(one)})' if kinds else ''}")
    if folder is not None:
        out.print(f"\npictures: {folder / 'index.html'}")


def draw_all(every: list[Finding], folder: Path, json: bool) -> None:
    """A page for each finding, and one that lists them; none is written before all are made."""
    from mtpo.proofs.findings.page import INDEX, index_of, name_of, page_of

    _can_be_filled(folder)
    pages = {folder / INDEX: index_of(every)}
    for path in (folder / INDEX, *(folder / name_of(one) for one in every)) if folder.exists() else ():
        writable(path)
    with progress("drawing the findings", json) as tell:
        said = counted(tell, "findings")
        for number, one in enumerate(every):
            said(number, len(every), one.id)
            pages[folder / name_of(one)] = page_of(one, _standing(one))
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in pages.items():
        path.write_text(text, encoding="utf-8")


def _can_be_filled(folder: Path) -> None:
    """That pages can be put into the folder, which need not be there yet: to make them takes a while."""
    if folder.is_symlink() and not folder.exists():
        raise usage(f"{folder}: is a link to a place that is not there; give another folder")
    nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not nearest.is_dir():
        raise usage(f"{nearest}: is a file; --pictures wants a folder")
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise usage(f"{nearest}: nothing can be written there ({error.strerror}); give another folder") from None


def _standing(finding: Finding) -> Any:
    from mtpo.proofs.findings.standing import standing_of
    from mtpo_core.cli.specs import find_specs

    return standing_of(finding, find_specs(None))


def _data(finding: Finding) -> dict[str, Any]:
    """The finding with what its traces show, without these themselves, and how what it names stands."""
    from mtpo.proofs.findings.catalogue import TRACES

    shown = TRACES.get(finding.id, {})
    traces = [{"name": name, "kind": one.kind, "says": one.says} for name, one in shown.items()]
    return finding.as_json() | {"traces": traces, "names": [row.as_json() for row in _standing(finding)]}
