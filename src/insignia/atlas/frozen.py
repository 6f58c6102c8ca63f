"""Cut-offs that are kept with an atlas, by name, so that what is added later does not change who is called a hit."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from insignia.atlas.commit import changing
from insignia.atlas.cutoffs import Cutoffs
from insignia.atlas.snapshot import Snapshot
from insignia.core.errors import AtlasMismatch, InputError, UnknownName

__all__ = ["FrozenCutoffs", "delete_cutoff", "save_cutoff"]

_LONGEST_NAME: Final = 100


class FrozenCutoffs(Mapping[str, Cutoffs]):
    """Cut-offs of an atlas by name; a name that it lacks is answered with those that it has."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._stored = snapshot.manifest.cutoffs

    def __getitem__(self, name: str) -> Cutoffs:
        if name not in self._stored:
            raise UnknownName(
                f"The atlas has no cut-off {name!r}. It has: {', '.join(sorted(self._stored)) or 'none'}."
            )
        return Cutoffs.from_dict(self._stored[name])

    def __contains__(self, name: object) -> bool:
        return name in self._stored

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._stored))

    def __len__(self) -> int:
        return len(self._stored)

    def __repr__(self) -> str:
        told = ", ".join(f"{name!r}: {self[name].rule} {self[name].text()}" for name in self)
        return f"FrozenCutoffs({told or 'none'})"


def save_cutoff(path: Path, name: str, cutoffs: Cutoffs, *, overwrite: bool = False) -> Snapshot:
    """Write cut-offs into the manifest; see `Atlas.save_cutoff`."""
    if not name.strip() or name != name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise InputError(
            f"A cut-off is called by one line of up to {_LONGEST_NAME} characters without blanks around it; found "
            f"{name[:120]!r}."
        )
    with changing(path, "save a cut-off") as change:
        manifest = change.manifest
        differences = manifest.record.differences(cutoffs.calibration.record)
        if differences:
            raise AtlasMismatch(
                f"The cut-off was taken from attributions that differ in {', '.join(differences)} from those of this "
                "atlas. Keep it with the atlas that it comes from."
            )
        if name in manifest.cutoffs and not overwrite:
            made = Cutoffs.from_dict(manifest.cutoffs[name])
            raise InputError(
                f"The atlas has a cut-off {name!r} already ({made.rule}, {made.text()}). Choose another name, so that "
                "old calls can be repeated, or pass overwrite=True."
            )
        return change.commit(replace(manifest, cutoffs={**manifest.cutoffs, name: cutoffs.to_dict()}))


def delete_cutoff(path: Path, name: str) -> Snapshot:
    """Take cut-offs out of the manifest; see `Atlas.delete_cutoff`."""
    with changing(path, "delete a cut-off") as change:
        if name not in change.manifest.cutoffs:
            known = ", ".join(sorted(change.manifest.cutoffs)) or "none"
            raise UnknownName(f"The atlas has no cut-off {name!r}. It has: {known}.")
        left = {known: entry for known, entry in change.manifest.cutoffs.items() if known != name}
        return change.commit(replace(change.manifest, cutoffs=left))
