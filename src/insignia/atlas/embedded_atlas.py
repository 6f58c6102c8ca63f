"""Embeddings that an atlas keeps beside the attributions."""

from typing import TYPE_CHECKING

from insignia.atlas.view import AtlasView
from insignia.core import keys

if TYPE_CHECKING:
    import numpy as np
    from anndata import AnnData

    from insignia.atlas.neighbours import Neighbours

__all__ = ["EmbeddedAtlas"]


class EmbeddedAtlas(AtlasView):
    """Embeddings of cells, centroids, and the nearest cells."""

    def embedding(self, where: str | None = None) -> "np.ndarray":
        """Read the embeddings that `add` kept, float32 (cells, latent), in the order of `obs(where)`.

        Raises
        ------
        MissingMetadata
            Some of the cells have none.
        """
        from insignia.atlas.embeddings import read_embedding

        return read_embedding(self._snapshot, self._rows(where))

    def centroid(self, where: str | None = None) -> "np.ndarray":
        """Average the embeddings of some cells, each cell counting alike: float32 (latent,).

        With `insignia.attribution.Centroid`, or two of them with `insignia.attribution.Contrast`, it is a target of
        attribution, without running the model again on the cells of the atlas.

        Raises
        ------
        MissingMetadata
            Some of the cells have no embedding.
        """
        from insignia.atlas.embeddings import centroid

        return centroid(self._snapshot, self._rows(where))

    def contrast(self, towards: str, against: str) -> "np.ndarray":
        """Subtract the centroid of one choice of cells from that of another: what leads from these to those."""
        difference: np.ndarray = self.centroid(towards) - self.centroid(against)
        return difference

    def neighbours(self, queries: "np.ndarray", k: int = 15, *, where: str | None = None) -> "Neighbours":
        """Find the cells nearest to each query by the cosine of embeddings, exactly, in bounded memory.

        Parameters
        ----------
        queries
            Embeddings by the atlas's model, (queries, latent) or one vector: of new cells, of cells of an atlas
            (`embedding`), or a centroid.
        k
            How many for each.
        where
            Cells that are searched.

        Raises
        ------
        AtlasMismatch
            The queries have another number of dimensions.
        InputError
            A query is not finite or zero, or there are fewer than `k` cells.
        MissingMetadata
            Some of the cells have no embedding.
        """
        from insignia.atlas.neighbours import nearest

        return nearest(self._snapshot, queries, k, self._rows(where))

    def embedded(self, where: str | None = None) -> "AnnData":
        """Give some cells as AnnData with metadata and ``obsm["X_" + model]``, for `scanpy.pp.neighbors` and UMAP."""
        from anndata import AnnData

        obs = self.obs(where)
        obs.index = obs[keys.STUDY].astype(str) + "/" + obs[keys.BARCODE].astype(str)
        return AnnData(obs=obs.rename_axis(None), obsm={f"X_{self.record.model}": self.embedding(where)})
