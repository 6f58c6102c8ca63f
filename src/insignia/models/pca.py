"""Principal components of log-normalised expression: the honest baseline of every learned encoder."""

import json
from pathlib import Path

import numpy as np
import torch
from anndata import AnnData
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from insignia.core.errors import InputError, ModelFormatError
from insignia.core.files import atomic_folder
from insignia.data import InputSpace
from insignia.genes import GeneVocabulary
from insignia.models.checkpoint import need_texts, read_json
from insignia.models.contract import fingerprint
from insignia.models.mlp import MLPEncoder, affine
from insignia.models.registry import families
from insignia.models.training_cells import training_cells
from insignia.models.weights import Weights

__all__ = ["fit_pca", "load_pca"]

_PREPROCESSING = "pca:align,sum=10000,log1p,centre"


@families.add("pca", source="doi:10.1080/14786440109462720")
class _PCA:
    needs = "pca.safetensors and model.json"

    @staticmethod
    def recognises(path: Path) -> bool:
        return (path / "pca.safetensors").is_file()

    @staticmethod
    def load(path: Path) -> MLPEncoder:
        return load_pca(path)


def fit_pca(
    adata: AnnData,
    *,
    n_components: int = 50,
    layer: str | None = None,
    input_space: InputSpace | None = None,
    output: str | Path | None = None,
    name: str = "pca",
    rng: int | np.random.Generator = 0,
) -> MLPEncoder:
    """Fit principal components of log1p CP10k expression, as an encoder that is attributed like any other.

    Parameters
    ----------
    adata
        Cells to fit on, (cells, genes).
    n_components
        Length of the embedding, below the number of cells and of genes.
    layer, input_space
        Where expression is, and what it is; see `insignia.data.Expression`.
    output
        Folder to write the model to.
    name
        What the model is called.
    rng
        Seed of the solver's start.

    Raises
    ------
    InputError
        There are not enough cells or genes for `n_components`.
    """
    from sklearn.decomposition import PCA

    cells = training_cells(adata, layer=layer, input_space=input_space)
    limit = min(cells.values.shape)
    if not 0 < n_components < limit:
        raise InputError(
            f"n_components must lie between 1 and {limit - 1} for {cells.values.shape} values, found {n_components}."
        )
    seed = int(np.random.default_rng(rng).integers(2**31 - 1))
    fitted = PCA(n_components, svd_solver="arpack", random_state=seed).fit(cells.values.astype(np.float64))
    weights = {
        "components": torch.tensor(np.ascontiguousarray(fitted.components_), dtype=torch.float32),
        "mean": torch.tensor(np.ascontiguousarray(fitted.mean_), dtype=torch.float32),
    }
    if output is not None:
        with atomic_folder(output) as folder:
            save_file(weights, folder / "pca.safetensors")
            content = {"family": "pca", "organism": cells.genes.organism, "genes": list(cells.genes.labels)}
            (folder / "model.json").write_text(json.dumps(content))
    return _encoder(name, cells.genes, weights)


def load_pca(path: str | Path) -> MLPEncoder:
    """Load a directory that `fit_pca` wrote; `ModelFormatError` says what is wrong with another."""
    path = Path(path)
    source = path / "pca.safetensors"
    try:
        state = load_file(source)
    except (OSError, SafetensorError) as error:
        raise ModelFormatError(f"{source} is not a readable safetensors file ({error}).") from error
    found = Weights(state, source)
    components = found.tensor("components", -1, -1)
    weights = {"components": components, "mean": found.tensor("mean", components.shape[1])}
    content = read_json(path / "model.json")
    names = need_texts(content, "genes", path / "model.json")
    genes = GeneVocabulary.from_names(names, organism=str(content.get("organism", "unknown")))
    if weights["components"].shape[1] != len(genes):
        raise ModelFormatError(f"{source} has {weights['components'].shape[1]} genes, model.json lists {len(genes)}.")
    return _encoder(path.resolve().name, genes, weights)


def _encoder(name: str, genes: GeneVocabulary, weights: dict[str, torch.Tensor]) -> MLPEncoder:
    components, mean = weights["components"], weights["mean"]
    layer = affine(components, -(components @ mean))
    return MLPEncoder(
        name, genes, [layer], is_normalised=False, fingerprint=fingerprint(weights, genes, _PREPROCESSING)
    )
