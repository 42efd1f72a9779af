"""The traces of a finding as plain data: a run of a spec in ITF, one of the core as the lines of its log, a chart as
what it is drawn from."""

from __future__ import annotations

from typing import Any

import attrs

from mtpo.proofs.findings.catalogue import Charted, Shown
from mtpo.proofs.findings.core import CoreRun
from mtpo.proofs.findings.traces import names
from mtpo.proofs.pictures.itf import itf_of
from mtpo.proofs.verdicts import naming
from mtpo_core.loglines import export_jsonl


def written(name: str, shown: Shown) -> dict[str, Any]:
    """A trace, made now: its name, its kind and what it shows, with ``itf`` (and what is false at its end and since how
    many steps, what the spec lacks, and what is to be seen after which step), with ``log``, the lines that
    `mtpo verify` reads, or with ``chart``. Raises :class:`~mtpo.proofs.findings.traces.NotShown`."""
    told = {"name": name, "kind": shown.kind, "says": shown.says}
    if isinstance(shown, Charted):
        return told | {"chart": attrs.asdict(shown.draw())}
    if isinstance(shown, CoreRun):
        return told | {"log": list(export_jsonl(shown.run()))}
    with naming(names(shown.objects)):
        run = shown.run()
        seen = [{"after": one.after, "text": one.text} for one in run.told]
        return told | {
            "breaks": list(run.breaks),
            "stays": run.stays,
            "weakened": run.weakened or None,
            "seen": seen,
            "itf": itf_of(run.trace, shown.says),
        }
