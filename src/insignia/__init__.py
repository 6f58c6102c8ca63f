"""insignia: which genes matter in this cell, and where else is a gene program active.

Everything takes and returns AnnData or pandas tables. Parts load when they are first used, so importing
insignia is instant.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

_MODULES = ("data", "genes", "models", "perturb", "pl", "pp", "spatial", "tl")
_NAMES = {"Atlas": "insignia.atlas"}

__all__ = ["Atlas", "data", "genes", "models", "perturb", "pl", "pp", "spatial", "tl"]

if TYPE_CHECKING:
    __version__: str
    from insignia import data, genes, models, perturb, pl, pp, spatial, tl
    from insignia.atlas import Atlas


def _installed_version() -> str:
    """Version that the installation recorded, taken from the git tag when it was built."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("insignia")
    except PackageNotFoundError:
        return "0+not.installed"


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return globals().setdefault(name, _installed_version())
    if name in _MODULES:
        return import_module(f"insignia.{name}")
    if name in _NAMES:
        return getattr(import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'insignia' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
