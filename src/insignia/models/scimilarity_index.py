"""The annotation index of an SCimilarity directory, checked before it is searched.

The index is an hnswlib file (Malkov and Yashunin 2018, arXiv:1603.09320). The library follows the links in it without
looking where they lead, so that a damaged file would make it read memory that is not its own: every number that steers
the search is checked here first.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from insignia.core.errors import InputError, ModelFormatError
from insignia.core.files import sha256_file, sha256_text
from insignia.core.optional import need
from insignia.core.settings import num_threads
from insignia.models.neighbours import Neighbours

__all__ = ["AnnotationIndex", "IndexLayout", "check_index", "read_annotation_index"]

INDEX: Final = "annotation/labelled_kNN.bin"
LABELS: Final = "annotation/reference_labels.tsv"
_EF: Final = 100
_BLOCK: Final = 65_536
_HEADER: Final = np.dtype(
    [
        ("start", "<u8"),
        ("capacity", "<u8"),
        ("cells", "<u8"),
        ("record", "<u8"),
        ("label_at", "<u8"),
        ("vector_at", "<u8"),
        ("top_level", "<i4"),
        ("entry", "<u4"),
        ("links", "<u8"),
        ("ground_links", "<u8"),
        ("m", "<u8"),
        ("scale", "<f8"),
        ("ef", "<u8"),
    ]
)


@dataclass(frozen=True)
class IndexLayout:
    """Sizes of a checked index: cells, cells that are not marked as deleted, and length of the embedding."""

    cells: int
    searchable: int
    latent: int


@dataclass(frozen=True, eq=False)
class AnnotationIndex:
    """Labelled reference cells in an hnswlib index: the search is approximate, and fast for millions of cells."""

    index: Any
    layout: IndexLayout
    labels: np.ndarray
    sha256: str

    @property
    def latent(self) -> int:
        """Length of the embedding."""
        return self.layout.latent

    @property
    def n_searchable(self) -> int:
        """Cells that are not marked as deleted."""
        return self.layout.searchable

    def search(self, embedding: np.ndarray, n_neighbors: int) -> Neighbours:
        """Find the nearest cells of each row of `embedding`, (cells, latent).

        Raises
        ------
        InputError
            The index finds fewer cells than asked for.
        """
        self.index.set_ef(max(_EF, 2 * n_neighbors))
        try:
            indices, distances = self.index.knn_query(embedding, k=n_neighbors, num_threads=num_threads())
        except RuntimeError as error:
            raise InputError(
                f"The annotation index did not find {n_neighbors} neighbours for every cell ({error}). "
                "Pass a smaller n_neighbors."
            ) from error
        return Neighbours(indices.astype(np.int64), np.maximum(distances.astype(np.float64), 0.0))


def read_annotation_index(path: str | Path) -> AnnotationIndex:
    """Read the labelled reference cells of an SCimilarity directory.

    Parameters
    ----------
    path
        A directory that holds `annotation/labelled_kNN.bin` and `annotation/reference_labels.tsv`.

    Raises
    ------
    ModelFormatError
        A file is missing or damaged, or the two do not belong together.
    MissingDependency
        hnswlib is not installed.
    """
    path = Path(path)
    missing = [name for name in (INDEX, LABELS) if not (path / name).is_file()]
    if missing:
        raise ModelFormatError(
            f"{path} lacks {' and '.join(missing)}, which hold the labelled reference cells of a released SCimilarity "
            "model. Add them, or pass an AnnData of labelled cells as reference."
        )
    hnswlib = need("hnswlib", extra="scimilarity", purpose="Searching the annotation index of SCimilarity")
    labels = _read_labels(path / LABELS)
    layout = check_index(path / INDEX, n_labels=len(labels))
    index = hnswlib.Index(space="cosine", dim=layout.latent)
    # the capacity in the file is not used: it may ask for any amount of memory
    try:
        index.load_index(str(path / INDEX), max_elements=layout.cells)
    except RuntimeError as error:
        raise _damaged(path / INDEX, str(error)) from error
    digest = sha256_text(sha256_file(path / INDEX) + sha256_file(path / LABELS))
    return AnnotationIndex(index, layout, labels, digest)


def check_index(path: Path, *, n_labels: int) -> IndexLayout:
    """Check that an hnswlib file is whole, and that a search stays inside it.

    Parameters
    ----------
    path
        The file.
    n_labels
        How many cells the table beside it lists.

    Raises
    ------
    ModelFormatError
        The file is damaged, or does not belong to the table.
    """
    size = path.stat().st_size
    head = _header(path, size)
    cells, latent = head["cells"], (head["label_at"] - head["vector_at"]) // 4
    if cells != n_labels:
        raise ModelFormatError(
            f"{path} holds {cells:,} cells, and {Path(LABELS).name} lists {n_labels:,}. "
            "Take both files from the same release."
        )
    searchable = _check_ground(path, head, latent)
    _check_upper(path, head, size)
    return IndexLayout(cells, searchable, latent)


def _damaged(path: Path, what: str) -> ModelFormatError:
    return ModelFormatError(f"{path} is not a usable hnswlib index: {what}. Copy or download it again.")


def _header(path: Path, size: int) -> dict[str, Any]:
    if size < _HEADER.itemsize:
        raise _damaged(path, f"it holds {size} bytes, and its header alone takes {_HEADER.itemsize}")
    row = np.fromfile(path, dtype=_HEADER, count=1)[0]
    head = {name: row[name].item() for name in _HEADER.names or ()}
    latent_bytes = head["label_at"] - head["vector_at"]
    fits = (
        head["start"] == 0
        and head["vector_at"] == 4 + 4 * head["ground_links"]
        and latent_bytes > 0
        and latent_bytes % 4 == 0
        and head["record"] == head["label_at"] + 8
        and 0 < head["links"] <= np.iinfo(np.uint16).max
        and 0 < head["ground_links"] <= np.iinfo(np.uint16).max
    )
    if not fits:
        raise _damaged(path, "the sizes in its header contradict each other")
    if head["cells"] == 0 or head["entry"] >= head["cells"] or head["top_level"] < 0:
        raise _damaged(path, f"its header counts {head['cells']:,} cells and starts at cell {head['entry']:,}")
    needed = _HEADER.itemsize + head["cells"] * (head["record"] + 4)
    if size < needed:
        raise _damaged(path, f"{head['cells']:,} cells need at least {needed:,} bytes, and it holds {size:,}")
    return head


def _check_ground(path: Path, head: dict[str, Any], latent: int) -> int:
    """Check links, vectors and numbers of all cells, and count those that are not marked as deleted."""
    record = np.dtype(
        [
            ("count", "<u2"),
            ("deleted", "u1"),
            ("spare", "u1"),
            ("links", "<u4", (head["ground_links"],)),
            ("vector", "<f4", (latent,)),
            ("number", "<u8"),
        ]
    )
    cells = head["cells"]
    rows = np.memmap(path, dtype=record, mode="r", offset=_HEADER.itemsize, shape=(cells,))
    seen = np.zeros(cells, dtype=bool)
    deleted = 0
    for start in range(0, cells, _BLOCK):
        block = rows[start : start + _BLOCK]
        if not _links_stay(block["links"], block["count"], cells):
            raise _damaged(path, f"links of its cells lead beyond its {cells:,} cells")
        if (block["number"] >= cells).any():
            raise _damaged(path, f"it numbers cells beyond its {cells:,} cells")
        lengths = np.sqrt(np.einsum("ij,ij->i", block["vector"], block["vector"], dtype=np.float64))
        if not (np.abs(lengths - 1) < 1e-3).all():
            raise _damaged(path, "its vectors should have length 1, as the cosine distance needs")
        seen[block["number"].astype(np.int64)] = True
        deleted += int((block["deleted"] & 1).sum())
    if not seen.all():
        raise _damaged(path, "several of its cells have the same number")
    if deleted == cells:
        raise _damaged(path, "all of its cells are marked as deleted")
    return int(cells) - deleted


def _check_upper(path: Path, head: dict[str, Any], size: int) -> None:
    """Check the levels above the ground: a link on a level may only lead to a cell that has that level."""
    begin = _HEADER.itemsize + head["cells"] * head["record"]
    data = np.memmap(path, dtype=np.uint8, mode="r", offset=begin, shape=(size - begin,))
    width = 4 * (head["links"] + 1)
    levels, places = _walk(path, data, head["cells"], width)
    if levels[head["entry"]] != head["top_level"]:
        raise _damaged(path, f"its search starts on level {head['top_level']}, and the first cell ends below or above")
    for cell in np.flatnonzero(levels):
        at, height = places[cell], levels[cell]
        lists = np.frombuffer(data[at : at + height * width].tobytes(), dtype="<u4").reshape(height, -1)
        counts, links = lists[:, 0] & 0xFFFF, lists[:, 1:]
        if not _links_stay(links, counts, head["cells"]):
            raise _damaged(path, f"links of cell {cell:,} lead beyond its {head['cells']:,} cells")
        used = np.arange(links.shape[1]) < counts[:, None]
        level = np.broadcast_to(np.arange(1, height + 1)[:, None], links.shape)
        if (levels[links[used]] < level[used]).any():
            raise _damaged(path, f"links of cell {cell:,} lead to cells that do not have their level")


def _walk(path: Path, data: np.ndarray, cells: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the level of each cell and where its lists are; their sizes stand one before each list."""
    levels, places = np.zeros(cells, dtype=np.int64), np.zeros(cells, dtype=np.int64)
    at, raw = 0, data.data
    for cell in range(cells):
        length = int.from_bytes(raw[at : at + 4], "little")
        at += 4
        if at + length > len(raw) or length % width:
            raise _damaged(path, f"the list of cell {cell:,} is cut off or of a wrong length")
        levels[cell], places[cell] = length // width, at
        at += length
    if at != len(raw):
        raise _damaged(path, f"{len(raw) - at:,} bytes follow its last cell")
    return levels, places


def _links_stay(links: np.ndarray, counts: np.ndarray, cells: int) -> bool:
    if (counts > links.shape[1]).any():
        return False
    used = np.arange(links.shape[1]) < counts[:, None]
    return not (used & (links >= cells)).any()


def _read_labels(path: Path) -> np.ndarray:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ModelFormatError(f"{path} is not a text file ({error}). Copy or download it again.") from error
    labels = [line.split("\t")[0].strip() for line in text.removesuffix("\n").split("\n")]
    if "" in labels:
        raise ModelFormatError(
            f"{path} has no cell type in line {labels.index('') + 1:,}; each line is a cell type, optionally a tab and "
            "a study. Copy or download it again."
        )
    return np.asarray(labels, dtype=object)
