"""How cells are attributed: the options of a run, which of them go together, and the record that they leave."""

from dataclasses import dataclass, field
from typing import get_args

import numpy as np
from scipy.sparse import csr_matrix

from insignia import __version__
from insignia.attribution.contract import Method, PathOptions, Target, find_target, methods
from insignia.core.errors import InputError, ModelError
from insignia.core.files import sha256_array
from insignia.core.keys import SCALE
from insignia.data import AttributionRecord
from insignia.models import Encoder, Precision

__all__ = ["AttributeOptions", "check_options", "record_of"]


@dataclass(frozen=True)
class AttributeOptions:
    """How cells are attributed.

    Parameters
    ----------
    method
        Name of a registered method.
    target
        Name of a registered target, or a target.
    baseline
        Where the path starts, in the data's genes and space: one profile, (genes,), or one for each cell, (cells,
        genes), or for a method that takes many baselines any number of them; `None` is an empty cell.
    signed
        Keep the sign; otherwise attributions are absolute.
    path
        Steps, memory, and what moves.
    block_size
        Cells that are read and explained at a time.
    min_overlap
        Share of the model's genes below which the data are refused; see `insignia.models.align`.
    device
        Where the network runs; see `insignia.core.device.find_device`. Each process looks for itself.
    precision
        ``"float32"``; ``"float64"``, to check it: everything after preprocessing; or ``"bf16"``: the network, after an
        affine first layer if it has one, in bfloat16. How far the other two are from float32 is measured on 64 cells.
    """

    method: str = "integrated_gradients"
    target: str | Target = "self"
    baseline: np.ndarray | csr_matrix | None = None
    signed: bool = False
    path: PathOptions = field(default_factory=PathOptions)
    block_size: int = 256
    min_overlap: float = 0.05
    device: str = "auto"
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        if self.precision not in get_args(Precision):
            raise InputError(f"precision is one of {', '.join(get_args(Precision))}; found {self.precision!r}.")


def check_options(encoder: Encoder, method: Method, options: AttributeOptions) -> None:
    """Refuse options that would be ignored, or contradict each other."""
    if options.path.interpolate == "amounts" and encoder.transform is None:
        raise ModelError(
            "interpolate='amounts' moves what an element-wise function such as log1p makes the network's values of, "
            f"and {encoder.name} has none. Use interpolate='values'."
        )
    if options.path.interpolate == "amounts" and not method.interpolates:
        raise InputError(f"{options.method} follows no path: interpolate='amounts' changes nothing. Leave it out.")
    if options.precision == "bf16" and method.follows_path and options.path.n_steps == 0:
        raise InputError(
            f"Gradients in bfloat16 are not fine enough for n_steps='auto', which aims at a gap of "
            f"{options.path.tolerance:.1%}. Give a number of steps, or use precision='float32'."
        )


def record_of(encoder: Encoder, options: AttributeOptions, *, input_space: str) -> AttributionRecord:
    """All that is needed to repeat a run, and to tell whether two runs can share an atlas."""
    given = options.baseline
    return AttributionRecord(
        model=encoder.name,
        fingerprint=encoder.fingerprint,
        genes_sha256=encoder.genes.sha256,
        method=options.method,
        target=find_target(options.target).name,
        baseline="zero" if given is None else f"given:{_fingerprint(given)}",
        n_steps=options.path.n_steps if methods[options.method].follows_path else 0,
        sign="signed" if options.signed else "absolute",
        scale=SCALE,
        input_space=input_space,
        version=__version__,
        interpolate=options.path.interpolate,
        precision=options.precision,
    )


def _fingerprint(baseline: np.ndarray | csr_matrix) -> str:
    dense = baseline if isinstance(baseline, np.ndarray) else baseline.toarray()
    return sha256_array(np.asarray(dense, dtype=np.float64))[:16]
