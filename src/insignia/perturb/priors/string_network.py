"""Interactions from the files of STRING: links between proteins, and the gene of each protein."""

from collections.abc import Iterable, Iterator
from csv import QUOTE_NONE
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from pyarrow import ArrowException, RecordBatch, csv, int64, string
from scipy.sparse import coo_matrix, csr_matrix

from insignia.core.errors import FileFormatError, InputError
from insignia.core.text_files import text_file
from insignia.data.gene_priors import GeneNetwork

__all__ = ["read_string"]

_LINK_COLUMNS: Final = ("protein1", "protein2", "combined_score")
_LINK_TYPES: Final = {"protein1": string(), "protein2": string(), "combined_score": int64()}
_MOST: Final = 1000
_BLOCK_BYTES: Final = 1 << 24
_FEWEST_KNOWN: Final = 0.5


def read_string(
    links: str | Path, info: str | Path, *, min_score: int = 700, genes: Iterable[str] | None = None
) -> GeneNetwork:
    """Read a network of genes from two files of STRING, block by block.

    Parameters
    ----------
    links
        ``<taxon>.protein.links.v12.0.txt``, may be gzipped: ``protein1 protein2 combined_score``.
    info
        ``<taxon>.protein.info.v12.0.txt``, may be gzipped: ``#string_protein_id``, ``preferred_name``, tabs between.
    min_score
        Least combined score, 0 to 1,000, of an interaction that is kept.
    genes
        Genes to keep; `None` keeps all that have an interaction.

    Returns
    -------
    A symmetric network whose weights are the combined score over 1,000; the larger of two where they disagree.

    Raises
    ------
    FileFormatError
        A file lacks its columns, or the two do not belong together.
    """
    if not 0 <= min_score <= _MOST:
        raise InputError(f"min_score is a combined score of STRING, 0 to {_MOST:,}; found {min_score}.")
    name_of = _names(Path(info))
    first, second, score, unknown = _links(Path(links), name_of, min_score)
    if unknown > _FEWEST_KNOWN * (unknown + len(first)):
        raise FileFormatError(
            f"{unknown:,} of {unknown + len(first):,} links of {Path(links).name} are between proteins that "
            f"{Path(info).name} does not list. Take both files from the same version and organism of STRING."
        )
    kept = None if genes is None else set(genes)
    names = np.array(sorted({*first, *second} if kept is None else kept & {*first, *second}), dtype=object)
    note = f", {unknown:,} links of unlisted proteins left out" if unknown else ""
    source = f"STRING {Path(links).name}, combined score >= {min_score}{note}"
    return GeneNetwork(tuple(names.tolist()), _adjacency(names, first, second, score), source)


def _adjacency(names: np.ndarray, first: np.ndarray, second: np.ndarray, score: np.ndarray) -> csr_matrix:
    place = {name: i for i, name in enumerate(names.tolist())}
    rows = np.array([place.get(name, -1) for name in first], dtype=np.int64)
    columns = np.array([place.get(name, -1) for name in second], dtype=np.int64)
    good = (rows >= 0) & (columns >= 0) & (rows != columns)
    shape = (len(names), len(names))
    # two proteins of one gene give one pair several times: the largest score counts
    order = np.argsort(score[good], kind="stable")
    pairs = pd.DataFrame({"row": rows[good][order], "column": columns[good][order], "score": score[good][order]})
    pairs = pairs.drop_duplicates(["row", "column"], keep="last")
    half = coo_matrix((pairs["score"].to_numpy(np.float32) / _MOST, (pairs["row"], pairs["column"])), shape=shape)
    return csr_matrix(half.tocsr().maximum(half.T.tocsr()))


def _names(info: Path) -> dict[str, str]:
    with text_file(info) as file:
        header = file.readline().rstrip("\r\n").split("\t")
        if len(header) < 2 or header[0].lstrip("#") not in ("string_protein_id", "protein_external_id"):
            raise FileFormatError(
                f"{info.name} is no protein info of STRING: expected #string_protein_id, preferred_name, found "
                f"{str(header)[:200]}."
            )
        # names such as NA are genes or proteins, not missing values; quotes stand in annotations
        rows = pd.read_csv(
            file, sep="\t", header=None, usecols=[0, 1], dtype=str, keep_default_na=False, quoting=QUOTE_NONE
        )
    return dict(zip(rows[0], rows[1], strict=True))


def _links(links: Path, name_of: dict[str, str], min_score: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    with text_file(links) as file:
        header = file.readline().split()
    if not set(_LINK_COLUMNS) <= set(header):
        raise FileFormatError(
            f"{links.name} is no file of links of STRING: expected {' '.join(_LINK_COLUMNS)}, found "
            f"{' '.join(header)[:200]}."
        )
    firsts, seconds, scores, unknown = [], [], [], 0
    for batch in _batches(links):
        score = batch.column(2).to_numpy(zero_copy_only=False)
        strong = np.flatnonzero(score >= min_score)
        pairs = [batch.column(side).take(strong).to_pandas().map(name_of) for side in (0, 1)]
        known = (pairs[0].notna() & pairs[1].notna()).to_numpy()
        unknown += int((~known).sum())
        firsts.append(pairs[0].to_numpy(object)[known])
        seconds.append(pairs[1].to_numpy(object)[known])
        scores.append(score[strong][known])
    if not firsts:
        raise FileFormatError(f"{links.name} holds no links.")
    return np.concatenate(firsts), np.concatenate(seconds), np.concatenate(scores), unknown


def _batches(links: Path) -> Iterator[RecordBatch]:
    try:
        yield from csv.open_csv(
            links,
            read_options=csv.ReadOptions(block_size=_BLOCK_BYTES),
            parse_options=csv.ParseOptions(delimiter=" "),
            convert_options=csv.ConvertOptions(include_columns=list(_LINK_COLUMNS), column_types=_LINK_TYPES),
        )
    except (ArrowException, OSError, MemoryError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise FileFormatError(f"{links.name} could not be read ({first}). Fetch it again.") from error
