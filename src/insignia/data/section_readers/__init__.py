"""Readers of serial sections: one file per layout."""

from insignia.data.section_readers import her2st
from insignia.data.section_readers.contract import ReadOptions, StackReader, stack_readers
from insignia.data.section_readers.read import read_stack, read_stacks

__all__ = ["ReadOptions", "StackReader", "her2st", "read_stack", "read_stacks", "stack_readers"]
