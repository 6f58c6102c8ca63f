"""The file formats that insignia writes, with their versions as the code has them."""

from importlib import import_module
from typing import Final

__all__ = ["FORMATS", "formats", "marks"]

FORMATS: Final = {
    "atlas": ("insignia.atlas.layout", ("FORMAT", "FORMAT_VERSION")),
    "stack of sections": ("insignia.data.stack_folder", ("FORMAT",)),
    "perturbation screen": ("insignia.data.screen_file", ("FORMAT",)),
    "splits": ("insignia.data.split_file", ("FORMAT",)),
    "priors of genes": ("insignia.perturb.priors.prior_folder", ("FORMAT",)),
    "fitted predictor of perturbations": ("insignia.perturb.model", ("FORMAT",)),
    "fitted imputer": ("insignia.spatial.asign.files", ("_FORMAT",)),
}
"""Where the version of each format stands."""


def formats() -> str:
    """Give one line a format."""
    lines = [f"| {what} | `{mark}` |" for what, mark in marks().items()]
    return "\n".join(["| file or folder | its mark |", "|---|---|", *lines])


def marks() -> dict[str, str]:
    """Return what the code writes into each format."""
    return {
        what: " ".join(getattr(import_module(module), name) for name in names)
        for what, (module, names) in FORMATS.items()
    }
