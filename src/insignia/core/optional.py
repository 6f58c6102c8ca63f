"""Optional packages come through one function, which says how to install them."""

from importlib import import_module
from types import ModuleType

from insignia.core.errors import MissingDependency

__all__ = ["need"]


def need(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import an optional package, or say what it is for and how to install it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingDependency(
            f"{purpose} needs the package {module.split('.')[0]!r}, which is not installed. "
            f"Install it with: pip install 'insignia[{extra}]'"
        ) from error
