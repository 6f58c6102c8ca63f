"""Folders of serial sections in the published layouts, small, with a dark disc on the picture at every spot."""

import gzip
import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import h5py
import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from insignia.core.files import atomic_file

__all__ = ["LAYOUTS", "Planted", "her2st", "hest", "planted", "stutility", "visium", "visium_section"]

UM_PER_PX = 2.0
GENES = ("ACTB", "GAPDH", "ERBB2", "CD3E")


@dataclass(frozen=True, eq=False)
class Planted:
    """What a section holds: array places, as they are meant and as they came out, pixels, counts, and its picture."""

    places: np.ndarray
    refined: np.ndarray
    pixels: np.ndarray
    counts: np.ndarray
    picture: np.ndarray


def planted(step_um=(200.0, 200.0), *, chessboard=False, seed=0, columns=7, rows=6, jitter=0.03):
    """Lay spots out as their array lies, 100 px from the corner, jittering by a share of the step."""
    rng = np.random.default_rng(seed)
    places = np.array([(x, y) for y in range(rows) for x in range(columns) if not chessboard or (x + y) % 2 == 0])
    step = np.asarray(step_um) / UM_PER_PX
    refined = places + rng.uniform(-jitter, jitter, places.shape)
    pixels = 100 + refined * step
    picture = np.full((*(int(side) + 100 for side in pixels.max(axis=0)[::-1]), 3), 240, dtype=np.uint8)
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]]
    for spot in pixels:
        picture[(x - spot[0]) ** 2 + (y - spot[1]) ** 2 < (0.2 * step.min()) ** 2] = (120, 40, 140)
    return Planted(places, refined, pixels, rng.poisson(3, (len(places), len(GENES))), picture)


def visium_section(seed):
    """Lay spots out as those of Visium, all in their places."""
    return planted((50, 50 * 3**0.5), chessboard=True, columns=14, rows=9, seed=seed, jitter=0.0)


def _write_png(path, picture):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture[:, :, ::-1])


def _write_counts(path, section):
    table = pd.DataFrame(section.counts, index=[f"{x}x{y}" for x, y in section.places], columns=list(GENES))
    table = table.sample(frac=1, random_state=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = table.to_csv(sep="\t").encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)


def _write_spots(path, section, **columns):
    table = pd.DataFrame(section.places, columns=["x", "y"])
    table[["new_x", "new_y"]] = section.refined
    table[["pixel_x", "pixel_y"]] = section.pixels
    path.parent.mkdir(parents=True, exist_ok=True)
    table.assign(**columns).to_csv(path, sep="\t", index=False)


def her2st(folder: Path) -> dict[str, Planted]:
    """Write A1, A2 and A4 of one patient and B1 of another; only A1 and B1 have a picture."""
    sections = {name: planted(seed=seed) for seed, name in enumerate(("A1", "A2", "A4", "B1"))}
    for name, section in sections.items():
        _write_counts(folder / "ST-cnts" / f"{name}.tsv.gz", section)
        _write_spots(folder / "ST-spotfiles" / f"{name}_selection.tsv", section, selected=1)
        if name.endswith("1"):
            _write_png(folder / "ST-imgs" / name[0] / name / "scan.png", section.picture)
    return sections


def stutility(folder: Path) -> dict[str, Planted]:
    """Write two sections of the dense array."""
    sections = {
        name: planted((100, 100), chessboard=True, columns=12, seed=seed) for seed, name in enumerate(("m1", "m2"))
    }
    for name, section in sections.items():
        _write_counts(folder / f"{name}.tsv", section)
        _write_spots(folder / f"alignment_table_{name}.tsv", section, selected=1)
        _write_png(folder / f"{name}.png", section.picture)
    return sections


def visium(folder: Path, *, header: bool = True, counts: str = "h5", shrink: float = 0.5) -> dict[str, Planted]:
    """Write the output of Space Ranger for two sections, with a picture of half the size."""
    sections = {}
    for seed, name in enumerate(("v1", "v2")):
        section = sections[name] = visium_section(seed)
        outs = folder / name / "outs"
        barcodes = [f"{'ACGT'[i % 4]}{i:03d}-1" for i in range(len(section.places))]
        table = pd.DataFrame({"barcode": barcodes, "in_tissue": 1})
        table["array_row"], table["array_col"] = section.places[:, 1], section.places[:, 0]
        table["pxl_row_in_fullres"], table["pxl_col_in_fullres"] = section.pixels[:, 1], section.pixels[:, 0]
        outside = table.iloc[:3].assign(barcode=["x-1", "y-1", "z-1"], in_tissue=0)
        (outs / "spatial").mkdir(parents=True)
        file = outs / "spatial" / ("tissue_positions.csv" if header else "tissue_positions_list.csv")
        pd.concat([outside, table]).to_csv(file, header=header, index=False)
        (outs / "spatial" / "scalefactors_json.json").write_text(json.dumps({"tissue_hires_scalef": shrink}))
        size = tuple(int(side * shrink) for side in section.picture.shape[1::-1])
        small = cv2.resize(section.picture, size, interpolation=cv2.INTER_AREA)
        _write_png(outs / "spatial" / "tissue_hires_image.png", small)
        # the matrix has an order of its own
        order = np.random.default_rng(seed).permutation(len(barcodes))
        shuffled = [barcodes[at] for at in order]
        if counts == "h5":
            _write_10x_h5(outs / "filtered_feature_bc_matrix.h5", section.counts[order], shuffled)
        elif counts == "mtx":
            _write_10x_folder(outs / "filtered_feature_bc_matrix", section.counts[order], shuffled)
    return sections


def _write_10x_h5(path, counts, barcodes):
    matrix = sparse.csr_matrix(counts, dtype=np.int32)
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        group["data"], group["indices"], group["indptr"] = matrix.data, matrix.indices, matrix.indptr
        group["shape"] = np.array(counts.shape[::-1], dtype=np.int32)
        group["barcodes"] = np.array(barcodes, dtype="S")
        features = group.create_group("features")
        features["name"] = np.array(GENES, dtype="S")
        features["id"] = np.array([f"ENSG{i:011d}" for i in range(len(GENES))], dtype="S")
        features["feature_type"] = np.array(["Gene Expression"] * len(GENES), dtype="S")
        features["genome"] = np.array(["GRCh38"] * len(GENES), dtype="S")


def _write_10x_folder(path, counts, barcodes):
    from scipy import io

    path.mkdir()
    with gzip.open(path / "matrix.mtx.gz", "wb") as file:
        io.mmwrite(file, sparse.csc_matrix(counts.T))
    features = "".join(f"ENSG{i:011d}\t{gene}\tGene Expression\n" for i, gene in enumerate(GENES))
    (path / "features.tsv.gz").write_bytes(gzip.compress(features.encode()))
    (path / "barcodes.tsv.gz").write_bytes(gzip.compress("\n".join(barcodes).encode()))


def hest(folder: Path, *, side: int = 32, shrink: float = 2.0) -> dict[str, Planted]:
    """Write two sections with patches around their spots, as HEST-1k is published: no slide."""
    sections = {}
    for seed, name in enumerate(("TENX1", "TENX2")):
        section = sections[name] = visium_section(seed)
        adata = AnnData(sparse.csr_matrix(section.counts, dtype=np.float32))
        adata.obs_names = [f"{i:04d}-1" for i in range(adata.n_obs)]
        adata.var_names = list(GENES)
        adata.obs["array_col"], adata.obs["array_row"] = section.places.T
        adata.obsm["spatial"] = section.pixels
        (folder / "st").mkdir(parents=True, exist_ok=True)
        adata.write_h5ad(folder / "st" / f"{name}.h5ad")
        (folder / "metadata").mkdir(exist_ok=True)
        about = {"patient": "P1", "pixel_size_um_estimated": UM_PER_PX, "inter_spot_dist": 100.0, "spot_diameter": 55.0}
        (folder / "metadata" / f"{name}.json").write_text(json.dumps(about))
        _write_patches(folder / "patches" / f"{name}.h5", section, adata.obs_names, side, shrink)
    return sections


def _write_patches(path, section, barcodes, side, shrink):
    path.parent.mkdir(exist_ok=True)
    source = int(side * shrink)
    corners = (section.pixels - source // 2).astype(int)
    patches = [
        cv2.resize(section.picture[y : y + source, x : x + source], (side, side), interpolation=cv2.INTER_AREA)
        for x, y in corners
    ]
    with atomic_file(path) as temporary, h5py.File(temporary, "w") as file:
        file["img"] = np.stack(patches)
        file["coords"] = corners
        file["barcode"] = np.array(barcodes, dtype="S")[:, None]
        about = {"patch_size_src": source, "patch_size_target": side, "downsample": shrink, "pixel_size": UM_PER_PX}
        file["img"].attrs.update(about)


LAYOUTS = {"her2st": her2st, "hest": hest, "stutility": stutility, "visium": visium}
