"""Means over groups of cells: screens of many signatures, programs that stand out, and what each gene contributes."""
