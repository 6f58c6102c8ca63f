"""Readers of perturbation screens: one file per convention of labels."""

from insignia.data.screen_readers import cell_eval, gears, pairs, plain, scperturb
from insignia.data.screen_readers.contract import LabelOptions, Labels, RawCondition, ScreenReader, screen_readers
from insignia.data.screen_readers.read import read_screen

__all__ = [
    "LabelOptions",
    "Labels",
    "RawCondition",
    "ScreenReader",
    "cell_eval",
    "gears",
    "pairs",
    "plain",
    "read_screen",
    "scperturb",
    "screen_readers",
]
