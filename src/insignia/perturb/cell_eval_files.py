"""Predicted and measured cells as the pair of h5ad files that `cell-eval run` takes as it is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy.sparse import csr_matrix, vstack

from insignia.core import keys
from insignia.core.errors import GeneMatchError, InputError, MissingMetadata
from insignia.core.files import atomic_folder, refuse_occupied
from insignia.data import read, write_h5ad
from insignia.data.condition import Condition
from insignia.data.perturbation import PerturbationData
from insignia.data.screen_file import number_in
from insignia.perturb.evaluation.yardstick import divide_controls

__all__ = ["CELL_EVAL_COLUMNS", "write_cell_eval"]

CELL_EVAL_COLUMNS: Final = ("target_gene", "celltype")
"""`obs` columns with what was done and where, under the names that cell-eval looks for."""

Group = tuple[Condition, str]


def write_cell_eval(
    predicted: AnnData | str | Path, data: PerturbationData, folder: str | Path, *, control: str = "non-targeting"
) -> tuple[Path, Path]:
    """Write predicted cells, and the measured cells of the same conditions, for cell-eval.

    Both files hold the same conditions, control cells among them, over the same genes in the same order, as sparse log
    expression. Where controls are few the two hold different halves of them, those that `fit` with a split learns from
    and those that it leaves untouched, so that truth and prediction share no noise.

    Parameters
    ----------
    predicted
        Cells of `PerturbationModel.predict`, or a file of them.
    data
        The screen with the measured cells.
    folder
        New or empty; gets ``predicted.h5ad`` and ``real.h5ad``.
    control
        Label of control cells, by default the one that cell-eval expects.

    Returns
    -------
    The two files.

    Raises
    ------
    GeneMatchError
        The predicted cells lack genes of the screen.
    InputError
        A predicted condition was not measured, logs are scaled in another way than those of the screen, or there is
        something in the folder.
    MissingMetadata
        These are no predicted cells.
    """
    adata = predicted if isinstance(predicted, AnnData) else read(predicted)
    groups = _groups(adata, data)
    values = _values(adata, data)
    rest, reference, _ = divide_controls(data, rng=np.random.default_rng(0))
    ours: dict[Group, csr_matrix] = {group: values[rows] for group, rows in groups.items()}
    real: dict[Group, csr_matrix] = {group: data.expression[data.rows(*group)] for group in groups}
    for context in dict.fromkeys(context for _, context in groups):
        ours[Condition(), context] = rest.expression[rest.controls(context)]
        real[Condition(), context] = reference[context]
    folder = Path(folder)
    refuse_occupied(folder)
    with atomic_folder(folder) as temporary:
        for name, cells in (("predicted", ours), ("real", real)):
            write_h5ad(_file(cells, data.genes, control), temporary / f"{name}.h5ad")
    return folder / "predicted.h5ad", folder / "real.h5ad"


def _groups(adata: AnnData, data: PerturbationData) -> dict[Group, np.ndarray]:
    """Rows of each predicted group that is not the control; all must have been measured."""
    if lacking := [name for name in (keys.CONDITION, keys.CONTEXT) if name not in adata.obs]:
        raise MissingMetadata(
            f"Predicted cells have obs[{keys.CONDITION!r}] and obs[{keys.CONTEXT!r}], and here is no "
            f"{' and no '.join(lacking)}. Predict them with a model of `fit`."
        )
    table = adata.obs[[keys.CONDITION, keys.CONTEXT]].astype(str).reset_index(drop=True)
    found = {
        (Condition.parse(condition), context): rows.to_numpy()
        for (condition, context), rows in table.groupby([keys.CONDITION, keys.CONTEXT], sort=False).groups.items()
    }
    found = {group: rows for group, rows in found.items() if not group[0].is_control}
    absent = [f"{condition} in {context}" for condition, context in found if (condition, context) not in data.groups]
    if absent or not found:
        raise InputError(
            f"cell-eval compares conditions that were predicted and measured; {len(absent)} of {len(found)} predicted "
            f"ones have no cells in the screen, e.g. {', '.join(absent[:5])}. Predict the test side of a split of it."
        )
    return found


def _values(adata: AnnData, data: PerturbationData) -> csr_matrix:
    """(cells, genes of the screen) log expression."""
    stated = adata.uns.get(keys.PERTURB, {})
    scale = number_in(stated, "scale") if isinstance(stated, Mapping) else np.nan
    if scale != data.scale and not (np.isnan(scale) and np.isnan(data.scale)):
        raise InputError(
            f"The predicted cells are logs of counts scaled to {scale:,.6g}, and the screen to {data.scale:,.6g}. Read "
            "the screen as it was read for the model."
        )
    place = adata.var_names.get_indexer(pd.Index(data.genes))
    if (place < 0).any():
        absent = [gene for gene, at in zip(data.genes, place, strict=True) if at < 0]
        raise GeneMatchError(
            f"The predicted cells lack {len(absent):,} of {len(data.genes):,} genes of the screen, e.g. "
            f"{', '.join(absent[:5])}. Narrow the screen with data.with_genes(model.genes)."
        )
    return csr_matrix(csr_matrix(adata.X)[:, place], dtype=np.float32)


def _file(cells: dict[Group, csr_matrix], genes: tuple[str, ...], control: str) -> AnnData:
    labels = [(control if one.is_control else str(one), where) for one, where in cells]
    sizes = [part.shape[0] for part in cells.values()]
    obs = pd.DataFrame(np.repeat(np.array(labels, dtype=object), sizes, axis=0), columns=list(CELL_EVAL_COLUMNS))
    obs.index = pd.Index([f"cell{i + 1:07d}" for i in range(len(obs))])
    values = vstack(list(cells.values()), format="csr", dtype=np.float32)
    return AnnData(values, obs=obs.astype("category"), var=pd.DataFrame(index=pd.Index(genes)))
