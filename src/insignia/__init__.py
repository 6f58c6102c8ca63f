"""insignia: which genes matter in this cell, and where else is a gene program active.

Everything takes and returns AnnData or pandas tables. Parts load when they are first used, so importing
insignia is instant.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_MODULES = ("data", "genes", "models", "perturb", "pl", "pp", "spatial", "tl")
_NAMES = {"Atlas": "insignia.atlas"}

__all__ = ["Atlas", "data", "genes", "models", "perturb", "pl", "pp", "spatial", "tl"]

if TYPE_CHECKING:
    from insignia import data, genes, models, perturb, pl, pp, spatial, tl
    from insignia.atlas import Atlas


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"insignia.{name}")
    if name in _NAMES:
        return getattr(import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'insignia' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
