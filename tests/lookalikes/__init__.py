"""Tiny models in the exact published layouts, one module a family, named like the family.

Each module has ``build(folder) -> Path``, which writes a model directory, and ``cells(n_cells=12, seed=0) -> AnnData``,
counts whose genes the model knows, with one empty cell at the end. Contract tests run over all registered families and
fail for one without a look-alike.
"""
