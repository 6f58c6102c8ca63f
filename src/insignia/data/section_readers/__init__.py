"""Readers of serial sections: one file per layout."""

from insignia.data.section_readers import he2020, her2st
from insignia.data.section_readers.contract import ReadOptions, StackReader, stack_readers
from insignia.data.section_readers.read import read_stack, read_stacks

__all__ = ["ReadOptions", "StackReader", "he2020", "her2st", "read_stack", "read_stacks", "stack_readers"]
