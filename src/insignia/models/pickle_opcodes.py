"""A look over the opcodes of a pickle before anybody reads it: some would exhaust memory, or the interpreter itself."""

import pickle
import pickletools
from typing import Any, BinaryIO, Final

__all__ = ["check_opcodes"]

_NAMES: Final = (
    "PROTO FRAME STOP MARK POP POP_MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 LONG4 BINFLOAT "
    "BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 BINGET LONG_BINGET BINPUT LONG_BINPUT "
    "MEMOIZE EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST APPEND APPENDS EMPTY_DICT SETITEM SETITEMS EMPTY_SET "
    "ADDITEMS FROZENSET GLOBAL STACK_GLOBAL REDUCE NEWOBJ NEWOBJ_EX BUILD BINPERSID"
)
_KNOWN: Final = frozenset(_NAMES.split())
"""What picklers write since protocol 2; the extension registry and buffers outside the file are not among them."""

_DEEPEST: Final = 200
"""Python hashes a tuple within a tuple by calling itself, and dies when they are nested too deep."""

_LONGEST_NUMBER: Final = 1_000
_MARK: Final = -1


def check_opcodes(content: bytes | BinaryIO) -> None:
    """Read over a pickle without making anything.

    An opcode that picklers do not write, more room than it has, or a tower of tuples is a `pickle.UnpicklingError`.

    Parameters
    ----------
    content
        The pickle, or a file that stands at its beginning.
    """
    depths = _TupleDepths()
    for opcode, argument, place in pickletools.genops(content):
        if opcode.name not in _KNOWN:
            raise pickle.UnpicklingError(f"the opcode {opcode.name}")
        if opcode.name == "LONG_BINPUT" and (argument is None or argument > (place or 0)):
            raise pickle.UnpicklingError(f"a memo of {argument} entries after {place} bytes")
        if isinstance(argument, int) and argument.bit_length() > 8 * _LONGEST_NUMBER:
            raise pickle.UnpicklingError(f"a whole number of {argument.bit_length() // 8:,} bytes")
        if depths.after(opcode, argument) > _DEEPEST:
            raise pickle.UnpicklingError(f"tuples within tuples, {_DEEPEST} deep")


class _TupleDepths:
    """How deep tuples are nested in each thing on the stack of an unpickler, and in its memo."""

    def __init__(self) -> None:
        self._stack: list[int] = []
        self._memo: dict[int, int] = {}

    def after(self, opcode: pickletools.OpcodeInfo, argument: Any) -> int:
        """Follow an opcode; return the depth of what is on top."""
        name, stack = opcode.name, self._stack
        if name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self._memo[len(self._memo) if argument is None else argument] = stack[-1] if stack else 0
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self._memo.get(argument, 0))
        elif name == "MARK":
            stack.append(_MARK)
        else:
            inside = self._taken(opcode)
            depth = 1 + max(inside, default=0) if name.startswith("TUPLE") else 0
            stack.extend([depth] * len(opcode.stack_after))
        return stack[-1] if stack else 0

    def _taken(self, opcode: pickletools.OpcodeInfo) -> list[int]:
        """Take from the stack what an opcode takes."""
        needs, stack = list(opcode.stack_before), self._stack
        taken: list[int] = []
        if pickletools.markobject in needs:
            while stack and (top := stack.pop()) != _MARK:
                taken.append(top)
            needs = needs[: needs.index(pickletools.markobject)]
        taken.extend(stack.pop() for _ in needs[: len(stack)])
        return taken
