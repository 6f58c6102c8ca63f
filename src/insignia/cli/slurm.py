"""`insignia slurm`: an array script in which each task attributes one shard."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from insignia.cli.attribution_options import (
    DeviceOption,
    GeneIdsOption,
    GeneSymbolsOption,
    InputSpaceOption,
    InterpolateOption,
    LayerOption,
    MethodOption,
    PrecisionOption,
    SignedFlag,
    StepsOption,
    TargetOption,
)
from insignia.cli.output import JsonFlag, emit, parse_steps
from insignia.core.errors import InputError
from insignia.core.files import resolved

__all__ = ["array_script", "slurm"]


def slurm(
    cells: Annotated[Path, typer.Argument(help="Cells: an h5ad file that all nodes see.")],
    model: Annotated[Path, typer.Option("-m", "--model", help="Directory of a model.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the parts.")],
    shards: Annotated[int, typer.Option(help="Tasks of the array, and parts.")],
    method: MethodOption = "integrated_gradients",
    target: TargetOption = "self",
    n_steps: StepsOption = "50",
    interpolate: InterpolateOption = "values",
    signed: SignedFlag = False,
    layer: LayerOption = None,
    input_space: InputSpaceOption = None,
    gene_symbols: GeneSymbolsOption = None,
    gene_ids: GeneIdsOption = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "float32",
    gpus: Annotated[int, typer.Option(help="GPUs of a task.")] = 0,
    time: Annotated[
        str, typer.Option(help="Time limit of a task; insignia attribute --dry-run tells it.")
    ] = "04:00:00",
    mem: Annotated[str, typer.Option(help="Memory of a task.")] = "16G",
    cpus: Annotated[int, typer.Option(help="Cores of a task.")] = 4,
    partition: Annotated[str | None, typer.Option(help="Partition; the cluster's default without.")] = None,
    setup: Annotated[
        list[str] | None, typer.Option(help="Line of shell to run first, e.g. 'source env/bin/activate'; repeatable.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Print a SLURM array script that attributes a file in shards; give it to sbatch, as often as it takes."""
    parse_steps(n_steps)
    _refuse_others("--interpolate", interpolate, ("values", "amounts"))
    _refuse_others("--precision", precision, ("float32", "float64", "bf16"))
    if shards < 1 or cpus < 1 or gpus < 0:
        raise InputError(f"--shards and --cpus take numbers from 1, --gpus from 0; found {shards}, {cpus} and {gpus}.")
    named = {
        "--method": method,
        "--target": target,
        "--n-steps": n_steps,
        "--interpolate": interpolate,
        "--layer": layer,
        "--input-space": input_space,
        "--gene-symbols": gene_symbols,
        "--gene-ids": gene_ids,
        "--device": device,
        "--precision": precision,
    }
    command = ["insignia", "attribute", str(resolved(cells)), "-m", str(resolved(model)), "-o", str(resolved(output))]
    command += [word for name, value in named.items() if value is not None for word in (name, value)]
    command += ["--signed"] if signed else []
    limits = {"cpus-per-task": str(cpus), "mem": mem, "time": time, "partition": partition}
    limits["gres"] = f"gpu:{gpus}" if gpus else None
    script = array_script(command, n_shards=shards, limits=limits, setup=setup or ())
    emit({"script": script}, as_json=as_json, text=script)


def _refuse_others(option: str, value: str, choices: tuple[str, ...]) -> None:
    """Say now what each task of the array would say later."""
    if value not in choices:
        raise InputError(f"{option} is one of {', '.join(choices)}; found {value!r}.")


def array_script(
    command: Sequence[str], *, n_shards: int, limits: dict[str, str | None], setup: Sequence[str] = ()
) -> str:
    """Write an array script.

    Parameters
    ----------
    command
        Words of the command that attributes, to which each task adds its shard.
    n_shards
        Tasks of the array.
    limits
        Options of sbatch; those that are `None` are left out.
    setup
        Lines of shell that come first.

    Raises
    ------
    InputError
        The value of an option of sbatch holds blanks or other signs that its line cannot.
    """
    given = {name: value for name, value in limits.items() if value is not None}
    for name, value in given.items():
        if not re.fullmatch(r"[\w.,:@+-]+", value):
            raise InputError(f"--{name} takes one word, as sbatch does, e.g. 16G or 04:00:00; found {value!r}.")
    words = shlex.join(command)
    lines = [
        "#!/bin/bash",
        "#SBATCH --job-name=insignia",
        f"#SBATCH --array=1-{n_shards}",
        *(f"#SBATCH --{name}={value}" for name, value in given.items()),
        "# Submit again after an interruption: finished shards are kept.",
        "# When all are done, this checks that each cell is there once, and the folder can be added to an atlas:",
        f"#   {words} --shards {n_shards}" if "\n" not in words else "#   the same command with --shards",
        "set -eo pipefail",
        *setup,
        'export OMP_NUM_THREADS="${SLURM_CPUS_PER_TASK:-1}" INSIGNIA_THREADS="${SLURM_CPUS_PER_TASK:-1}"',
        f'{words} --shard "${{SLURM_ARRAY_TASK_ID:?}}/{n_shards}"',
    ]
    return "\n".join(lines)
