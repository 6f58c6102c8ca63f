"""Programs in AnnData."""

import pandas as pd
from anndata import AnnData

from insignia.core import keys
from insignia.core.errors import GeneMatchError
from insignia.perturb.programs.record import Programs

__all__ = ["annotate_programs"]


def annotate_programs(
    adata: AnnData, programs: Programs, *, key_added: str = keys.PROGRAM, copy: bool = False
) -> AnnData | None:
    """Note the program of each gene.

    Parameters
    ----------
    adata
        `var_names` are genes.
    programs
        From `induce_programs`.
    key_added
        Name of what is added.
    copy
        Whether to return a changed copy.

    Returns
    -------
    `None`, or a changed copy if `copy=True`. Adds `var[key_added]`, categorical and empty for genes without a program,
    and `uns[key_added]`, where the programs come from.

    Raises
    ------
    GeneMatchError
        None of the genes is in a program.
    """
    labels = programs.labels(adata.var_names)
    if (labels < 0).all():
        raise GeneMatchError(
            f"None of {adata.n_vars:,} genes is in a program; the data have e.g. {list(adata.var_names[:3])}, the "
            f"programs {list(programs.genes[:3])}. Do they use the same names?"
        )
    adata = adata.copy() if copy else adata
    adata.var[key_added] = pd.Categorical.from_codes(labels.tolist(), categories=pd.Index(programs.names))
    about = {name: programs.about[name] for name in ("n_programs", "seed") if name in programs.about}
    adata.uns[key_added] = {"source": programs.source, **about}
    return adata if copy else None
