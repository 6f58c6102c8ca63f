"""Expressions over cell metadata: parsed by DuckDB, and refused unless every part is on a short list of harmless ones.

An expression that passes compares, combines and looks up values of one cell. It holds no statement, query, file,
setting or variable, and nothing whose result is much larger than the expression itself.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from insignia.core.errors import FilterError

if TYPE_CHECKING:
    import duckdb

__all__ = ["EXPRESSION_CONFIG", "Expression", "parse_expression"]

EXPRESSION_CONFIG: Final = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "memory_limit": "1GB",
    "temp_directory": "",
    "max_expression_depth": "200",
}
"""Configuration of a connection that parses and runs expressions; it is locked once the connection stands."""

_LONGEST: Final = 200_000
_DEEPEST: Final = 200
_CLASSES: Final = "BETWEEN CASE CAST COLLATE COLUMN_REF COMPARISON CONJUNCTION CONSTANT FUNCTION OPERATOR"
_TYPE: Final = "TYPE"
_TYPES: Final = """
BOOLEAN TINYINT SMALLINT INTEGER BIGINT HUGEINT UTINYINT USMALLINT UINTEGER UBIGINT FLOAT DOUBLE DECIMAL
VARCHAR DATE TIME TIMESTAMP LIST
"""
_FUNCTIONS: Final = """
+ - * / % // || ~~ !~~ ~~* !~~* ~~~ ~ !~ ^@ has list_value array_value row
like_escape not_like_escape ilike_escape not_ilike_escape
abs ceil ceiling floor round trunc sqrt ln log2 log10 sign greatest least isnan isfinite isinf
lower lcase upper ucase trim ltrim rtrim length strlen len left right substring substr
contains starts_with ends_with prefix suffix instr strpos position
regexp_matches regexp_full_match
list_contains list_has array_contains array_has list_has_any array_has_any list_has_all array_has_all
array_length list_position concat coalesce ifnull nullif
year month day
"""
"""Functions of one cell's values whose result is no larger than their arguments together."""


@dataclass(frozen=True)
class Expression:
    """A checked expression: its text, and the columns that it names, as the atlas spells them."""

    text: str
    columns: tuple[str, ...]


def parse_expression(connection: "duckdb.DuckDBPyConnection", text: str, available: Sequence[str]) -> Expression:
    """Check that a text is one harmless expression over the columns that there are.

    Parameters
    ----------
    connection
        Used for its parser only; nothing is run.
    available
        Names of the columns that it may name, in any letter case.

    Raises
    ------
    FilterError
        It is anything else; the message says what, and what an expression looks like.
    """
    try:
        where = _where_clause(connection, text)
        named = [_column(node, available) for node in _nodes(where) if _checked(node)["class"] == "COLUMN_REF"]
    except _Refused as refusal:
        raise _error(text, str(refusal), available) from None
    return Expression(text, tuple(dict.fromkeys(named)))


class _Refused(Exception):
    """Why an expression is refused."""


def _where_clause(connection: "duckdb.DuckDBPyConnection", text: str) -> Any:
    """Syntax tree of an expression."""
    if not isinstance(text, str) or not text.strip():
        raise _Refused("It is empty.")
    if len(text) > _LONGEST:
        raise _Refused(
            f"It is {len(text):,} characters long; {_LONGEST:,} is the most. Name a column that "
            "the cells share instead of each cell."
        )
    if "\0" in text:
        raise _Refused("It holds a NUL character.")
    found, (clause,) = _template(connection, text)
    # an expression that leaves its place, by any trick, leaves its mark on what stands around it
    if found != _template(connection, "true")[0]:
        raise _Refused("It is more than one expression.")
    return clause


def _template(connection: "duckdb.DuckDBPyConnection", text: str) -> tuple[Any, list[Any]]:
    """Syntax tree of a statement without the condition of its only CASE, and that condition."""
    tree = _parsed(connection, f"SELECT CASE WHEN\n{text}\nTHEN true END FROM cells")  # noqa: S608 (it is only parsed)
    try:
        conditions = [check.pop("when_expr") for check in tree["select_list"][0]["case_checks"]]
    except (KeyError, IndexError, TypeError, AttributeError):
        raise _Refused("It is more than one expression.") from None
    if len(conditions) != 1:
        raise _Refused("It is more than one expression.")
    return _without_places(tree), conditions


def _without_places(tree: Any) -> Any:
    if isinstance(tree, list):
        return [_without_places(item) for item in tree]
    if isinstance(tree, dict):
        return {name: _without_places(item) for name, item in tree.items() if not name.startswith("query_location")}
    return tree


def _parsed(connection: "duckdb.DuckDBPyConnection", statement: str) -> dict[str, Any]:
    import duckdb

    try:
        # fetchall, because a result that is not read to its end keeps the connection busy
        found = json.loads(connection.execute("SELECT json_serialize_sql(?)", [statement]).fetchall()[0][0])
    except RecursionError:
        raise _Refused("It is nested too deeply.") from None
    except (duckdb.Error, UnicodeError, ValueError) as error:
        raise _Refused(_first_line(error)) from None
    if found.get("error", True):
        raise _Refused(_first_line(found.get("error_message", "It cannot be read.")))
    statements = found.get("statements", [])
    if len(statements) != 1:
        raise _Refused("It is more than one expression.")
    node: dict[str, Any] = statements[0]["node"]
    return node


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every part of a syntax tree that is an expression or a type."""
    stack = [(tree, 0)]
    while stack:
        node, depth = stack.pop()
        if depth > 4 * _DEEPEST:
            raise _Refused("It is nested too deeply.")
        if isinstance(node, list):
            stack.extend((item, depth) for item in node)
        elif isinstance(node, dict):
            if isinstance(node.get("class"), str):
                yield node
            stack.extend((item, depth + 1) for item in node.values() if isinstance(item, dict | list))


def _checked(node: dict[str, Any]) -> dict[str, Any]:
    kind = node["class"]
    if kind == "FUNCTION":
        name = str(node.get("function_name", "")).lower()
        if name not in _FUNCTIONS.split() or node.get("schema") or node.get("catalog") or node.get("filter"):
            close = get_close_matches(name, _FUNCTIONS.split(), n=1, cutoff=0.75)
            hint = f" Did you mean {close[0]}()?" if close and close[0] != name else ""
            raise _Refused(f"The function {name}() may not be used here.{hint}")
    elif kind == _TYPE:
        name = str(node.get("type_name", "")).upper()
        if name not in _TYPES.split():
            raise _Refused(f"Values cannot be made {name} here.")
    elif kind not in _CLASSES.split():
        raise _Refused(f"A {kind.lower().replace('_', ' ')} may not be used here.")
    return node


def _column(node: dict[str, Any], available: Sequence[str]) -> str:
    names = [str(name) for name in node.get("column_names", [])]
    if len(names) > 1 and names[0].lower() == "cells":
        names = names[1:]
    name = ".".join(names)
    if name in available:
        return name
    same = [column for column in available if column.lower() == name.lower()]
    if len(same) > 1:
        raise _Refused(f"{name!r} may be {' or '.join(same)}.")
    if not same:
        close = get_close_matches(name.lower(), [column.lower() for column in available], n=1)
        hint = f" Did you mean {close[0]}?" if close else " Text stands in single quotes."
        raise _Refused(f"There is no column {name!r}.{hint}")
    return same[0]


def _error(text: str, what: str, available: Sequence[str]) -> FilterError:
    shown = text if len(text) <= 300 else f"{text[:300]}..."
    return FilterError(
        f"where={shown!r} does not select cells: {what} Expected one expression such as "
        f"\"tissue = 'blood'\" or \"has(disease, 'COVID-19')\" over the columns {', '.join(available)}."
    )


def _first_line(error: object) -> str:
    line = (str(error).strip().splitlines() or ["It cannot be read."])[0]
    return line if line.endswith((".", "!", "?")) else f"{line}."
