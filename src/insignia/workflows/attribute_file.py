"""Attribute a file into a file, in memory that does not grow with the number of cells."""

import tempfile
from pathlib import Path

from anndata import AnnData

from insignia.attribution import AttributeOptions, Runner, write_part
from insignia.core.errors import InputError
from insignia.core.files import refuse_occupied, resolved
from insignia.data import Expression, InputSpace, read, write_h5ad
from insignia.models import Encoder, as_encoder, check_logs

__all__ = ["attribute_file"]


def attribute_file(
    source: str | Path,
    model: Encoder | str | Path,
    output: str | Path,
    *,
    options: AttributeOptions | None = None,
    layer: str | None = None,
    input_space: InputSpace | None = None,
    gene_symbols: str | None = None,
    gene_ids: str | None = None,
    keep_expression: bool = True,
    overwrite: bool = False,
    show_progress: bool | None = None,
) -> AnnData:
    """Attribute the cells of a file and write them as h5ad, whole or not at all.

    Parameters
    ----------
    source
        h5ad (read block by block), 10x h5, a 10x mtx folder or zarr.
    model
        A loaded model, or the directory of one.
    output
        The h5ad file to write, another than `source`.
    options
        Method, target, baseline, steps, sign, device, precision.
    layer, input_space, gene_symbols, gene_ids
        As for `insignia.tl.attribute`.
    keep_expression
        Keep all that the source holds; otherwise write a lean part, which is all that an atlas needs.
    overwrite
        Replace what is at `output`, once the new file is whole.
    show_progress
        `None` shows a bar when standard error is a terminal.

    Returns
    -------
    The written file, backed.

    Raises
    ------
    FileFormatError
        The source cannot be read.
    InputError
        The output is the source, or is there already; or as `insignia.tl.attribute`.
    """
    source, output = Path(source), Path(output)
    if output.suffix != ".h5ad" or resolved(output) == resolved(source):
        raise InputError(f"The output must be another file than the input, and end in .h5ad; found {output}.")
    if not overwrite:
        refuse_occupied(output, remedy="Choose another place, or pass overwrite=True to replace it")
    encoder = as_encoder(model)
    is_h5ad = source.suffix == ".h5ad"
    adata = read(source, backed=is_h5ad)
    expression = Expression.from_adata(
        adata, layer=layer, input_space=input_space, gene_symbols=gene_symbols, gene_ids=gene_ids
    )
    runner = Runner(encoder, expression, options or AttributeOptions())
    check_logs(expression, encoder.name)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".insignia-", dir=output.parent) as folder:
        template = source if is_h5ad else Path(folder) / "source.h5ad"
        if keep_expression and not is_h5ad:
            write_h5ad(adata, template)
        write_part(
            runner, adata.var, output, template=template if keep_expression else None, show_progress=show_progress
        )
    return read(output, backed=True)
