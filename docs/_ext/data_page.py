"""Registries and constants of a public module, which autodoc cannot describe where they are imported from."""

import ast
import importlib
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from insignia.core.registry import Registry

__all__ = ["PUBLIC", "data_names", "data_of"]

PUBLIC: Final = (
    "insignia",
    "insignia.pp",
    "insignia.tl",
    "insignia.pl",
    "insignia.models",
    "insignia.models.fakes",
    "insignia.genes",
    "insignia.genes.scorers",
    "insignia.data",
    "insignia.data.perturbation_splits",
    "insignia.atlas",
    "insignia.attribution",
    "insignia.spatial",
    "insignia.spatial.features",
    "insignia.spatial.imputers",
    "insignia.spatial.protocols",
    "insignia.perturb",
    "insignia.perturb.protocols",
    "insignia.stats",
    "insignia.training",
    "insignia.report",
    "insignia.workflows",
    "insignia.serve",
    "insignia.core.errors",
)
"""Modules whose `__all__` is the public interface."""

_LONGEST: Final = 200


def data_names(module: str) -> list[str]:
    """Names of a module that are neither functions, classes nor modules."""
    found = importlib.import_module(module)
    return [name for name in found.__all__ if not _is_described(getattr(found, name))]


def data_of(module: str) -> str:
    """Describe the registries and constants of a module: what they hold, and what their source says of them."""
    found = importlib.import_module(module)
    return "\n\n".join(_described(module, name, getattr(found, name)) for name in data_names(module))


def _is_described(value: Any) -> bool:
    return isinstance(value, ModuleType | type) or inspect.isroutine(value)


def _described(module: str, name: str, value: Any) -> str:
    is_registry = isinstance(value, Registry)
    text = repr(value).replace("typing.", "")
    shown = [] if is_registry or len(text) > _LONGEST else [f"   :value: {text}"]
    said = f"Every {value.kind} by name; one more is `{name}.add(...)`." if is_registry else _said_of(module, name)
    directive = "\n".join(
        [f".. py:currentmodule:: {module}", "", f".. py:data:: {name}", *shown, "", f"   {said}"]
    ).rstrip()
    parts = [f"```{{eval-rst}}\n{directive}\n```"]
    if is_registry:
        parts.append(_table(value))
    elif not shown and isinstance(value, dict):
        parts.append("\n".join(["| | |", "|---|---|", *(f"| `{key}` | {text} |" for key, text in value.items())]))
    return "\n\n".join(parts)


def _table(registry: Registry[Any]) -> str:
    lines = ["| name | | source |", "|---|---|---|"]
    for name in registry:
        entry = registry.entry(name)
        kind = entry.value if isinstance(entry.value, type) or inspect.isroutine(entry.value) else type(entry.value)
        said = (kind.__doc__ or "").partition("\n")[0].replace("``", "`").replace("|", "\\|")
        lines.append(f"| `{name}` | {said} | {entry.source} |")
    return "\n".join(lines)


def _said_of(module: str, name: str) -> str:
    """Return the text under the assignment of a name, in the file that it is imported from."""
    tree = ast.parse(Path(str(sys.modules[module].__file__)).read_text(encoding="utf-8"))
    for node, after in zip(tree.body, [*tree.body[1:], None], strict=True):
        if isinstance(node, ast.ImportFrom) and name in {alias.name for alias in node.names}:
            return _said_of(str(node.module), name)
        targets = [*getattr(node, "targets", ()), getattr(node, "target", None)]
        if name in {target.id for target in targets if isinstance(target, ast.Name)}:
            text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and str(after.value.value)
            return " ".join((text or "").split())
    return ""
