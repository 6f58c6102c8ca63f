"""Names and keyword arguments of insignia that Python in the docs uses, held against the package.

Types of variables are followed as far as annotations tell them; what they do not tell is let pass.
"""

import ast
import importlib
import inspect
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

UNKNOWN = object()


@dataclass(frozen=True)
class Instance:
    """Something of a class, of which only the class is known."""

    kind: type


@dataclass
class Reader(ast.NodeVisitor):
    """Reads blocks of one page in order; `names` holds modules, functions, classes and instances."""

    names: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    checked: int = 0

    def read(self, code: str) -> None:
        for statement in ast.parse(plain(code)).body:
            self.visit(statement)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.name.split(".")[0] == "insignia":
                found = self._module(alias.name)
                self.names[alias.asname or "insignia"] = found if alias.asname else self._module("insignia")
            else:
                self.names[alias.asname or alias.name.split(".")[0]] = UNKNOWN

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        ours = (node.module or "").split(".")[0] == "insignia"
        for alias in node.names:
            found = self._member(self._module(node.module), alias.name) if ours else UNKNOWN
            self.names[alias.asname or alias.name] = found

    def visit_Assign(self, node: ast.Assign) -> None:
        value = self.value(node.value)
        for target in node.targets:
            for number, name in enumerate(target.elts if isinstance(target, ast.Tuple) else [target]):
                if isinstance(name, ast.Name):
                    self.names[name.id] = value if name is target else _element(value, number)
                else:
                    self.value(name)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.names[node.name] = UNKNOWN
        self.names.update({argument.arg: UNKNOWN for argument in node.args.args})
        self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.names[node.name] = UNKNOWN
        self.generic_visit(node)

    def visit_For(self, node: ast.For) -> None:
        self.value(node.iter)
        for name in ast.walk(node.target):
            if isinstance(name, ast.Name):
                self.names[name.id] = UNKNOWN
        for statement in node.body:
            self.visit(statement)

    def generic_visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.expr):
            self.value(node)
        else:
            super().generic_visit(node)

    def value(self, node: ast.expr) -> Any:
        """Follow an expression, noting what does not exist."""
        if isinstance(node, ast.Name):
            return self.names.get(node.id, UNKNOWN)
        if isinstance(node, ast.Attribute):
            return self._member(self.value(node.value), node.attr)
        if isinstance(node, ast.Call):
            return self._call(node)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.value(child)
            elif isinstance(child, ast.comprehension):
                self.value(child.iter)
        return UNKNOWN

    def _module(self, name: str) -> Any:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            self.problems.append(f"there is no module {name}")
            return UNKNOWN

    def _member(self, owner: Any, name: str) -> Any:
        if owner is UNKNOWN:
            return UNKNOWN
        self.checked += 1
        if isinstance(owner, Instance):
            return self._member_of_instance(owner.kind, name)
        if isinstance(owner, types.ModuleType) and not hasattr(owner, name):
            try:
                return importlib.import_module(f"{owner.__name__}.{name}")
            except ModuleNotFoundError:
                pass
        if not hasattr(owner, name):
            self.problems.append(f"{getattr(owner, '__name__', owner)} has no {name}")
            return UNKNOWN
        return _known(getattr(owner, name))

    def _member_of_instance(self, kind: type, name: str) -> Any:
        fields = {one for base in kind.__mro__ for one in getattr(base, "__annotations__", {})}
        fields |= set(getattr(kind, "_fields", ())) | _set_in_init(kind)
        found = inspect.getattr_static(kind, name, UNKNOWN)
        if found is UNKNOWN and name not in fields:
            self.problems.append(f"{kind.__name__} has no {name}")
            return UNKNOWN
        if isinstance(found, property):
            return _returned(found.fget)
        if callable(found) and not isinstance(found, type):
            return found
        hints = _hints(kind)
        return _instance(hints.get(name)) if name in hints else UNKNOWN

    def _call(self, node: ast.Call) -> Any:
        called = self.value(node.func)
        for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
            self.value(argument)
        if called is UNKNOWN or isinstance(called, Instance) or not callable(called):
            return UNKNOWN
        self._check_arguments(called, node)
        return Instance(called) if isinstance(called, type) else _returned(called)

    def _check_arguments(self, called: Any, node: ast.Call) -> None:
        try:
            parameters = inspect.signature(called).parameters
        except (TypeError, ValueError):
            return
        self.checked += 1
        if any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
            return
        taken = {name for name, one in parameters.items() if one.kind is not one.POSITIONAL_ONLY}
        for keyword in node.keywords:
            if keyword.arg is not None and keyword.arg not in taken:
                name = getattr(called, "__qualname__", called)
                self.problems.append(f"{name} takes no {keyword.arg}=; it takes {', '.join(taken)}")


def plain(code: str) -> str:
    """Take out what notebooks add to Python."""
    return "\n".join("pass" if line.lstrip().startswith(("%", "!")) else line for line in code.splitlines())


def _known(found: Any) -> Any:
    if isinstance(found, types.ModuleType | type) or inspect.isroutine(found):
        return found
    return Instance(type(found)) if type(found).__module__.startswith("insignia") else UNKNOWN


def _hints(made: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(made)
    except (NameError, TypeError, AttributeError):
        return {}


def _returned(called: Any) -> Any:
    made = inspect.unwrap(getattr(called, "__func__", called))
    hint = _hints(made).get("return", getattr(made, "__annotations__", {}).get("return"))
    if hint is typing.Self:
        owner = getattr(called, "__self__", None)
        return Instance(owner) if isinstance(owner, type) else UNKNOWN
    return _instance(hint)


def _instance(hint: Any) -> Any:
    """Return an instance of the class of insignia that an annotation names, if it names one."""
    choices = [one for one in typing.get_args(hint) if one is not type(None)]
    if typing.get_origin(hint) in (types.UnionType, typing.Union) and len(choices) == 1:
        return _instance(choices[0])
    if typing.get_origin(hint) is tuple:
        return tuple(_instance(one) for one in choices)
    is_ours = isinstance(hint, type) and hint.__module__.startswith("insignia")
    return Instance(hint) if is_ours else UNKNOWN


def _element(value: Any, number: int) -> Any:
    return value[number] if isinstance(value, tuple) and number < len(value) else UNKNOWN


@cache
def _set_in_init(kind: type) -> set[str]:
    """Names that a plain class gives to itself when it is made."""
    found = set()
    for base in kind.__mro__:
        if base.__module__.startswith("insignia"):
            found |= set(_assigned(base))
    return found


def _assigned(base: type) -> Iterator[str]:
    for node in ast.walk(ast.parse(inspect.cleandoc("\n" + inspect.getsource(base)))):
        stored = isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
        if stored and isinstance(node.value, ast.Name) and node.value.id == "self":
            yield node.attr
