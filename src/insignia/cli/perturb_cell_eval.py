"""`insignia perturb cell-eval`: predicted and measured cells for another program's metrics."""

from pathlib import Path
from typing import Annotated

import typer

from insignia.cli import perturb_options as shared
from insignia.cli.output import JsonFlag, emit

__all__ = ["cell_eval"]


def cell_eval(
    cells: Annotated[Path, typer.Argument(help="h5ad of `perturb predict`.")],
    screen: shared.Screen,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for predicted.h5ad and real.h5ad.")],
    control_label: Annotated[str, typer.Option(help="Label of control cells in both files.")] = "non-targeting",
    control: shared.Control = None,
    layout: shared.Layout = None,
    context: shared.Context = None,
    where: shared.Where = None,
    genes: shared.Genes = None,
    as_json: JsonFlag = False,
) -> None:
    """Write predicted and measured cells as the pair of files that `cell-eval run` takes, and say its command."""
    from insignia import perturb
    from insignia.perturb.cell_eval_files import CELL_EVAL_COLUMNS

    data = shared.open_screen(screen, control, layout, context, where, genes)
    ours, real = perturb.write_cell_eval(cells, data, output, control=control_label)
    done, place = CELL_EVAL_COLUMNS
    command = (
        f"cell-eval run -ap {ours} -ar {real} --pert-col {done} --control-pert {control_label} --celltype-col {place}"
    )
    emit({"predicted": str(ours), "real": str(real), "command": command}, as_json=as_json)
