"""Cell metadata under the names of an atlas, whatever the source called them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from insignia.core import keys
from insignia.core.errors import DuplicateNames, InputError, MissingMetadata
from insignia.data.labels import SEPARATOR, join_labels, split_labels
from insignia.data.metadata_map import MetadataMap, metadata_map

__all__ = ["USUAL_NAMES", "standardise_obs"]

USUAL_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    keys.STUDY: ("study", "study_id", "dataset_id", "dataset", "gse", "series_id"),
    keys.SAMPLE: ("sample", "sample_id", "sample_name", "library_id", "gsm", "geo_accession"),
    keys.DONOR: ("donor", "donor_id", "patient", "patient_id", "subject", "subject_id", "individual"),
    keys.TISSUE: ("tissue", "organ", "tissue_general", "tissue_ontology_term_id"),
    keys.DISEASE: ("disease", "disease_state", "diagnosis", "disease_ontology_term_id"),
    keys.CELL_TYPE: (
        "cell_type",
        "prediction",
        "celltype",
        "cell_types",
        "predicted_cell_type",
        "cell_type_ontology_term_id",
    ),
}
"""What CELLxGENE, SCimilarity, GEO and common practice call each metadata column, the first that is there wins.

Letter case does not matter, nor whether words are joined by blanks, dots, hyphens or underscores.
"""

_OPTIONAL: Final = (keys.DONOR,)
_HEALTHY_TERM: Final = "PATO:0000461"
_HEALTHY: Final = "normal"
_MISSING: Final = frozenset({"", "nan", "NaN", "NaT", "NA", "N/A", "n/a", "na", "<NA>", "None", "null", "Unknown"})


def standardise_obs(
    obs: pd.DataFrame,
    *,
    columns: Mapping[str, str | Sequence[str]] | None = None,
    constants: Mapping[str, str] | None = None,
    mapping: MetadataMap | str | Path | None = None,
) -> pd.DataFrame:
    """Bring cell metadata to the columns study, sample, donor, tissue, disease, cell_type and barcode.

    Each comes from `constants`, else from the column that `columns` names, else from `mapping`, else from the first
    of `USUAL_NAMES`. Barcodes are the index, unless a column is named for them. Missing values become ``"unknown"``,
    and so does the donor where nothing is known of it. Equal sample names of two studies remain two samples, because
    a sample is always told by study and sample. Several diseases in one field (``"COVID-19;flu"``,
    ``"flu || COVID-19"``) are a set, written in one way: ``"COVID-19 || flu"``. The CELLxGENE term of a healthy
    sample, PATO:0000461, is written ``"normal"``.

    Parameters
    ----------
    obs
        Metadata of cells, one row each; it is not changed.
    columns
        The caller's column -> ours, e.g. ``{"patient": "donor"}``, or several of ours in a list.
    constants
        Ours -> one value for all cells, e.g. ``{"study": "GSE158055"}``.
    mapping
        A `MetadataMap`, its file (.toml or .csv), or the name of a bundled one: ``"cellxgene"`` or ``"scimilarity"``.

    Returns
    -------
    (cells, 7) table of text with the index of `obs`.

    Raises
    ------
    MissingMetadata
        A needed column is absent, or `columns` names one that is.
    InputError
        `columns` or `constants` name something that is no metadata column, or name one twice.
    DuplicateNames
        A barcode repeats within a study.
    """
    rules = metadata_map(mapping)
    constants = dict(constants or {})
    sources = _sources(obs, list(_pairs(columns or {})), constants, rules)
    constants = {**{ours: text for ours, text in rules.constants.items() if ours not in sources}, **constants}
    sources = {**_usual(obs), **sources}
    absent = [key for key in keys.METADATA if key not in sources and key not in constants]
    needed = [key for key in absent if key not in (*_OPTIONAL, keys.BARCODE)]
    if needed:
        raise MissingMetadata(_absent_message(needed, obs))
    table = {}
    for key in keys.METADATA:
        if key in constants:
            table[key] = np.full(len(obs), str(constants[key]).strip() or keys.UNKNOWN, dtype=object)
        elif key in sources:
            table[key] = _as_text(obs[sources[key]])
        else:
            table[key] = _as_text(obs.index.to_series()) if key == keys.BARCODE else np.full(len(obs), keys.UNKNOWN)
        table[key] = _renamed(table[key], key, rules.values.get(key, {}))
    frame = pd.DataFrame(table, index=obs.index, dtype=object)
    _refuse_repeated_barcodes(frame)
    return frame


def _pairs(columns: Mapping[str, str | Sequence[str]]) -> Iterator[tuple[str, str]]:
    """Theirs and ours, one by one."""
    for theirs, ours in columns.items():
        yield from ((theirs, one) for one in ([ours] if isinstance(ours, str) else ours))


def _sources(
    obs: pd.DataFrame, columns: Sequence[tuple[str, str]], constants: Mapping[str, str], rules: MetadataMap
) -> dict[str, str]:
    """Column of `obs` for each of our columns that the caller or the mapping names."""
    targets = [*(ours for _, ours in columns), *constants]
    foreign = [name for name in targets if name not in keys.METADATA]
    if foreign:
        turned = [(ours, theirs) for theirs, ours in columns if ours == foreign[0] and theirs in keys.METADATA]
        hint = f" Columns go from yours to ours; did you mean columns={dict(turned)}?" if turned else ""
        raise InputError(f"{foreign[0]!r} is no metadata column. There are: {', '.join(keys.METADATA)}.{hint}")
    twice = [name for name in targets if targets.count(name) > 1]
    if twice:
        raise InputError(f"{twice[0]!r} is given twice in columns= and constants=. Give it once.")
    absent = [name for name, _ in columns if name not in obs]
    if absent:
        raise MissingMetadata(f"obs has no column {absent[0]!r}. It has: {', '.join(map(str, obs.columns)) or 'none'}.")
    # a mapping serves many files, and not each has all of its columns
    mapped = {ours: theirs for theirs, ours in _pairs(rules.columns) if theirs in obs}
    return mapped | {ours: theirs for theirs, ours in columns}


def _usual(obs: pd.DataFrame) -> dict[str, str]:
    """Column of `obs` with a usual name, for each of our columns that has one."""
    plain = {_plain(str(name)): name for name in reversed(obs.columns)}
    usual = {
        key: next((name if name in obs else plain[name] for name in names if name in plain), None)
        for key, names in USUAL_NAMES.items()
    }
    return {key: name for key, name in usual.items() if name is not None}


def _renamed(texts: np.ndarray, key: str, names: Mapping[str, str]) -> np.ndarray:
    """Give values the names of the mapping; of a set of diseases, each label."""
    codes, unique = pd.factorize(texts)
    if key == keys.DISEASE:
        names = {_HEALTHY_TERM: _HEALTHY, **names}
        labels = [[names.get(label, label) for label in split_labels(names.get(text, text))] for text in unique]
        new = [join_labels(SEPARATOR.join(found)) for found in labels]
    else:
        new = [names.get(text, text) for text in unique]
    return np.array(new, dtype=object)[codes] if len(unique) else texts


def _plain(name: str) -> str:
    return re.sub(r"[ .\-]+", "_", name.strip().lower())


def _as_text(values: pd.Series) -> np.ndarray:
    if pd.api.types.is_float_dtype(values) and (values.dropna() % 1 == 0).all():
        values = values.astype("Int64")
    text = np.array([str(value).strip() for value in values], dtype=object)
    return np.where(np.isin(text.astype(str), list(_MISSING)), keys.UNKNOWN, text)


def _absent_message(needed: list[str], obs: pd.DataFrame) -> str:
    first = needed[0]
    there = ", ".join(map(str, obs.columns)) or "none"
    return (
        f"obs lacks {', '.join(needed)} (columns there: {there}). Name the column that holds it, e.g. "
        f"columns={{'my_column': {first!r}}}, or one value for all cells, e.g. constants={{{first!r}: '...'}}; "
        f"{keys.UNKNOWN!r} is allowed."
    )


def _refuse_repeated_barcodes(frame: pd.DataFrame) -> None:
    repeated = frame.duplicated([keys.STUDY, keys.BARCODE])
    if repeated.any():
        study, barcode = frame.loc[repeated.to_numpy(), [keys.STUDY, keys.BARCODE]].iloc[0]
        raise DuplicateNames(
            f"A barcode must be unique within its study, and {int(repeated.sum()):,} repeat, e.g. {barcode!r} in study "
            f"{study!r}. Prefix obs_names with the sample (adata.obs_names = sample + '_' + barcode), or give the "
            "right study."
        )
