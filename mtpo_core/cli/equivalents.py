"""The mutants that change nothing, as a file or this project lists them: whether each entry still is one."""

from __future__ import annotations

from mtpo_core.cli.specs import BUILT_IN, Source


def equivalents(name: str, source: Source) -> dict[str, str]:
    """The reasons by mutant, of the specs that ``name`` means. Raises ``WronglyListed`` for an entry that is of no
    mutant, or not of the one that it was written for."""
    from mtpo.proofs.mutants.listed import check_listed
    from mtpo.proofs.mutants.mutate import EQUIVALENT, mutants

    listed = dict(source.equivalent)
    if name in BUILT_IN:
        listed |= {key: why for key, why in EQUIVALENT.items() if key.partition(".")[0] == name}
    check_listed(listed, [mutant for one in source.specs for mutant in mutants(one)], f"{name}: EQUIVALENT")
    return listed
