"""What an atlas keeps beside its cells: cut-offs, and group means."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from insignia.atlas.snapshot import Snapshot
from insignia.atlas.view import AtlasView

if TYPE_CHECKING:
    from insignia.atlas.calls import Hits
    from insignia.atlas.cutoffs import Cutoffs
    from insignia.atlas.frozen import FrozenCutoffs
    from insignia.atlas.screens.keep import RegroupReport

__all__ = ["AtlasKeeping"]


class AtlasKeeping(AtlasView):
    """Cut-offs by name, and means by groups."""

    def _turn_to(self, snapshot: Snapshot) -> None:
        """Show a new version from now on, and delete what only the one before needed, unless somebody reads it."""
        from insignia.atlas.commit import tidy

        self._snapshot = snapshot
        tidy(self.path)

    @property
    def cutoffs(self) -> "FrozenCutoffs":
        """Cut-offs that are kept with the atlas, by name: ``result.call(atlas.cutoffs["healthy monocytes"])``."""
        from insignia.atlas.frozen import FrozenCutoffs

        return FrozenCutoffs(self._snapshot)

    def save_cutoff(self, name: str, cutoffs: "Hits | Cutoffs", *, overwrite: bool = False) -> None:
        """Keep cut-offs with the atlas, together with the cells that they were taken from, under a name.

        Adding, replacing or removing studies does not change them, and so not who is called a hit.

        Parameters
        ----------
        name
            One line of text.
        cutoffs
            Hits, whose cut-offs are meant, or cut-offs.
        overwrite
            Replace those of the same name.

        Raises
        ------
        AtlasBusy
            Another process is changing the atlas.
        AtlasMismatch
            They were taken from attributions of another kind.
        InputError
            The name is taken, or is none.
        """
        from insignia.atlas.calls import Hits
        from insignia.atlas.frozen import save_cutoff

        made = cutoffs.cutoffs if isinstance(cutoffs, Hits) else cutoffs
        self._turn_to(save_cutoff(self.path, name, made, overwrite=overwrite))

    def delete_cutoff(self, name: str) -> None:
        """Forget cut-offs; hits that were called with them stay as they are.

        Raises
        ------
        AtlasBusy
            Another process is changing the atlas.
        UnknownName
            There are none of this name.
        """
        from insignia.atlas.frozen import delete_cutoff

        self._turn_to(delete_cutoff(self.path, name))

    def regroup(
        self, columns: Sequence[str] | None = None, *, where: str | None = None, progress: bool | None = None
    ) -> "RegroupReport":
        """Compute group means again from the cells and store them, so that screens by these groups take no time.

        Means by study, sample, donor, tissue, disease and cell type are stored as studies are added. This makes them
        for an atlas of an older version, or for other columns or some cells only; a `screen` with the same `columns`
        and `where` then reads them. Those of studies that are added later are computed when a screen asks for them.

        Parameters
        ----------
        columns, where
            As for `screen`.
        progress
            `None` shows a bar on a terminal.

        Raises
        ------
        MissingMetadata
            The atlas has no such column.
        FilterError
            `where` does not choose cells.
        AtlasBusy
            Another process is changing the atlas.
        """
        from insignia.atlas.screens.keep import regroup

        self._snapshot, report = regroup(self.path, columns=columns, where=where, show=progress)
        return report
