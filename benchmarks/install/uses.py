"""One thing that each extra makes possible; without the extra it raises `MissingDependency`, which names it.

python -m benchmarks.install.uses EXTRA
"""

import json
import sys
import tempfile
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from anndata import AnnData
from safetensors.numpy import save_file
from scipy.sparse import csr_matrix

from insignia import data, models
from insignia.core.errors import FileFormatError, InputError, ModelFormatError
from insignia.core.executors import run_tasks
from insignia.data import SectionImage, SectionStack, SerialOptions, Transform, read_stack, write_stack
from insignia.genes.scorers import GeneSet, score_sets

__all__ = ["USES"]

_TINY_VIT = {
    "model_type": "vit",
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "intermediate_size": 8,
    "image_size": 32,
    "patch_size": 16,
}


def _stack() -> SectionStack:
    return data.simulate_sections(SerialOptions(n_sections=2, size_um=800.0, genes_per_group=2)).stack


def ants(_: Path) -> None:
    """Bend a section onto its neighbour."""
    from insignia.spatial.registration.ants import deform

    moving, fixed, *_others = _stack()
    deform(moving, fixed, Transform.identity())


def census(folder: Path) -> None:
    """Ask what is no Census whether it is one."""
    with suppress(FileFormatError):
        next(data.read_census(folder))
        raise AssertionError("an empty folder was read as a Census")


def cluster(_: Path) -> None:
    """Work on a scheduler."""
    with suppress(InputError):
        list(run_tasks(abs, [-1], executor="no://scheduler"))
    import distributed

    with distributed.Client(processes=False, n_workers=1, dashboard_address=None) as client:
        assert sorted(run_tasks(abs, [-1, 2], executor=client)) == [1, 2]


def encoders(folder: Path) -> None:
    """Load an image model; weights that lack a part are refused."""
    from insignia.spatial.features.transformers_folder import load_transformers

    (folder / "config.json").write_text(json.dumps(_TINY_VIT))
    save_file({"nothing": np.zeros(1, dtype=np.float32)}, folder / "model.safetensors", metadata={"format": "pt"})
    with suppress(ModelFormatError):
        load_transformers(folder)
        raise AssertionError("weights that are not there were read")
    import transformers

    transformers.ViTModel(transformers.ViTConfig(**_TINY_VIT)).save_pretrained(folder)
    assert load_transformers(folder).patch_px == 32


def scimilarity(folder: Path) -> None:
    """Read an annotation index."""
    from insignia.models.scimilarity_index import INDEX, LABELS, read_annotation_index

    (folder / INDEX).parent.mkdir()
    (folder / INDEX).write_bytes(b"no index")
    (folder / LABELS).write_text("B cell\ta\nT cell\ta\nB cell\tb\n")
    with suppress(ModelFormatError):
        read_annotation_index(folder)
        raise AssertionError("text was read as an index")
    import hnswlib

    index = hnswlib.Index(space="cosine", dim=4)
    index.init_index(max_elements=3)
    index.add_items(np.eye(3, 4), np.arange(3))
    index.save_index(str(folder / INDEX))
    assert len(read_annotation_index(folder).labels) == 3


def scorers(_: Path) -> None:
    """Score a set of genes as UCell and AUCell do."""
    matrix = csr_matrix(np.random.default_rng(0).poisson(1.0, (5, 30)).astype(np.float32))
    gene_set = GeneSet("set", np.arange(4), np.ones(4))
    for name in ("ucell", "aucell"):
        assert score_sets(name, matrix, [gene_set]).shape == (5, 1)


def serve(folder: Path) -> None:
    """Make the explorer of an atlas."""
    from insignia.serve import create_app
    from insignia.workflows import create_atlas

    with suppress(InputError):
        create_app({})
        raise AssertionError("an explorer of nothing was made")
    cells = data.simulate_planted(n_cells=60, n_genes=200, rng=0).adata
    encoder = models.train(
        cells,
        labels="cell_type",
        output=folder / "model",
        hidden=(8,),
        latent=4,
        options=models.TrainOptions(epochs=1),
        show_progress=False,
    )
    create_atlas(folder / "atlas", encoder)
    assert create_app({"atlas": folder / "atlas"}).routes


def spatial(folder: Path) -> None:
    """Find tissue, and write a stack with its pictures and read it."""
    from insignia.spatial.tissue import tissue_mask

    stack = _stack()
    write_stack(stack, folder / "stack", images="copy")
    image = next(iter(read_stack(folder / "stack"))).image
    assert image is not None
    assert tissue_mask(image.at(8.0), 8.0).any()


def spatialdata(folder: Path) -> None:
    """Write a stack as SpatialData and read it."""
    from insignia.data import write_spatialdata

    spots = AnnData(csr_matrix((3, 2), dtype=np.float32))
    spots.obsm["spatial"] = np.array([[0.0, 0.0], [100.0, 0.0], [0.0, 100.0]])
    stack = SectionStack("block", (data.Section("s1", 0.0, spots),), pitch_um=100.0)
    write_spatialdata(stack, folder / "stack.zarr")
    assert len(read_stack(folder / "stack.zarr").sections) == 1


def tiledb(folder: Path) -> None:
    """Ask what is no published folder whether it is one."""
    from insignia.atlas.published import published_sources
    from insignia.data import AttributionRecord

    record = AttributionRecord("m", "f", "g", "deeplift", "self", "zero", 1, "signed", 1.0, "log1p", "0")
    with suppress(FileFormatError):
        published_sources(folder, record=record, n_genes=2)
        raise AssertionError("an empty folder was read as a published one")


def wsi(folder: Path) -> None:
    """Open a slide; what is none is refused."""
    (folder / "a.ndpi").write_bytes(b"no slide")
    with suppress(FileFormatError):
        SectionImage(folder / "a.ndpi", 1.0)
        raise AssertionError("text was read as a slide")


def zarr(folder: Path) -> None:
    """Read cells from zarr."""
    (folder / "cells.zarr").mkdir()
    with suppress(FileFormatError):
        data.read(folder / "cells.zarr")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # which version of zarr AnnData will write one day
        AnnData(csr_matrix((3, 2), dtype=np.float32)).write_zarr(folder / "cells.zarr")
    assert data.read(folder / "cells.zarr").shape == (3, 2)


USES: dict[str, Callable[[Path], None]] = {
    use.__name__: use
    for use in (ants, census, cluster, encoders, scimilarity, scorers, serve, spatial, spatialdata, tiledb, wsi, zarr)
}

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        USES[sys.argv[1]](Path(scratch))
