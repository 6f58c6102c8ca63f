"""What an open atlas is: the version that it shows, its genes, cells and studies."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from insignia.atlas.snapshot import Snapshot
from insignia.data import AttributionRecord
from insignia.genes import GeneMatch, GeneVocabulary, Signature

if TYPE_CHECKING:
    import numpy as np
    from scipy.sparse import csr_matrix


__all__ = ["AtlasView"]


class AtlasView:
    """One version of an atlas on disk, to be read."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    @property
    def path(self) -> Path:
        """Folder of the atlas."""
        return self._snapshot.path

    @property
    def genes(self) -> GeneVocabulary:
        """Gene table."""
        return self._snapshot.genes

    @property
    def record(self) -> AttributionRecord:
        """How the attributions were made."""
        return self._snapshot.manifest.record

    @property
    def studies(self) -> dict[str, int]:
        """Cells of each study."""
        return self._snapshot.manifest.study_cells()

    @property
    def columns(self) -> list[str]:
        """Metadata columns, which `where` may name."""
        return self._snapshot.columns

    def __len__(self) -> int:
        return self._snapshot.manifest.cells

    def __repr__(self) -> str:
        return (
            f"Atlas({self.path.name!r}: {len(self):,} cells of {len(self.studies):,} studies, "
            f"{self._snapshot.manifest.genes.count:,} genes, {self.record.model}, {self.record.method})"
        )

    def info(self) -> dict[str, Any]:
        """Sizes and provenance as plain values: cells, values, studies, segments, bytes, genes, columns, record."""
        manifest = self._snapshot.manifest
        return {
            "path": str(self.path),
            "cells": manifest.cells,
            "values": sum(entry.values for entry in manifest.segments),
            "studies": len(manifest.studies),
            "segments": len(manifest.segments),
            "bytes": sum(entry.bytes for entry in manifest.segments),
            "genes": manifest.genes.count,
            "organism": self.genes.organism,
            "encoding": manifest.encoding,
            "version": manifest.version,
            "columns": self.columns,
            "record": manifest.record.to_dict(),
            "sha256": manifest.sha256(),
        }

    def obs(self, where: str | None = None) -> pd.DataFrame:
        """Read the metadata of all cells, or of those that `where` chooses, in the order of the atlas."""
        from insignia.atlas.filters import select

        return self._snapshot.frame(rows=None if where is None else select(self._snapshot, where))

    def gene_matrix(
        self, genes: Sequence[str] | Signature, *, where: str | None = None
    ) -> tuple["csr_matrix", pd.DataFrame, GeneMatch]:
        """Read the attributions of some genes.

        Returns
        -------
        The matrix, float32 (cells, found genes in the order asked for), in which a gene that a cell's study did not
        measure is NaN; the metadata of the cells; and which genes were found.

        Raises
        ------
        GeneMatchError
            No gene is known to the atlas.
        """
        from insignia.atlas.gene_matrix import gene_matrix

        return gene_matrix(self._snapshot, genes, where=where)

    def _rows(self, where: str | None) -> "np.ndarray | None":
        from insignia.atlas.filters import select

        return None if where is None else select(self._snapshot, where)
