"""Readers of serial sections: one file per layout."""

from insignia.data.section_readers import anndata, he2020, her2st, hest, native, spatialdata, stutility, visium
from insignia.data.section_readers.contract import ReadOptions, StackReader, stack_readers
from insignia.data.section_readers.read import read_stack, read_stacks, stack_from_anndata

__all__ = [
    "ReadOptions",
    "StackReader",
    "anndata",
    "he2020",
    "her2st",
    "hest",
    "native",
    "read_stack",
    "read_stacks",
    "spatialdata",
    "stack_from_anndata",
    "stack_readers",
    "stutility",
    "visium",
]
