"""The tables of the benchmark pages, each from the JSON object that a benchmark prints last."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

__all__ = ["TABLES"]

Result = Mapping[str, Any]

_FAMILIES: Final = {
    "scimilarity": "SCimilarity",
    "ssl_sctab": "SSL-scTab",
    "scvi": "scVI",
    "pca": "PCA",
    "scfoundation": "scFoundation",
    "geneformer": "Geneformer",
    "scgpt": "scGPT",
}
_TESTS: Final = {
    "van_elteren": "`van_elteren`, the default",
    "meta": "`meta`",
    "beta_binomial": "`beta_binomial`",
    "mann_whitney": "`mann_whitney`, ignores studies",
    "cells_as_if_independent": "cells taken for donors",
}
_STACKS: Final = {
    "simulator": "simulator",
    "patient_c": "HER2ST patient C, images",
    "her2st": "HER2ST patients A and C, no images",
    "mob": "mouse olfactory bulb",
}


def attribution(result: Result) -> str:
    """Against Captum, by shape of the network."""
    rows = [
        [
            _FAMILIES[name],
            row["network"].partition(" (")[0],
            _short(row["cells_per_second"]),
            f"{_short(row['captum_cells_per_second'])} ({row['captum_best_batch']})",
            _short(row["speedup"]),
            f"{row['relative_difference']:.1e}".replace("e-0", "e-"),
            f"{100 * row['completeness_gap']:.2g} %".replace("e-0", "e-"),
            _short(row["share_of_peak"]),
            _short(row["hours_for_22_million_cells"]),
        ]
        for name, row in result["rows"].items()
    ]
    return _table(
        "shape of | network | insignia, cells/s | Captum, cells/s (best batch) | ratio | relative difference | "
        "median gap | share of the arithmetic peak | hours for 22 million cells",
        rows,
    )


def search_quick(result: Result) -> str:
    """Against a memory map and TileDB."""
    rows = [
        ["warm, ms", result["atlas_ms"], result["compact_ms"], "", result["tiledb_ms"]],
        ["warm, one thread, ms", result["atlas_1_thread_ms"], "", result["memmap_1_thread_ms"], ""],
        ["cold, ms", *(result[f"{side}_cold_ms"] for side in ("atlas", "compact", "memmap", "tiledb"))],
        ["bytes per value, all files", *_bytes_per_value(result)],
        ["ingest, s", result["ingest_s"], result["ingest_compact_s"], "", result["ingest_tiledb_s"]],
    ]
    head = f"{_size(result)} | insignia | compact | memory map | TileDB"
    return _table(head, [[row[0], *map(_short, row[1:])] for row in rows])


def search_scale(result: Result) -> str:
    """One million cells."""
    rows = [
        ["search, warm", result["search_ms"], result["search_least_ms"]],
        ["search, warm, one thread", result["search_1_thread_ms"], result["search_1_thread_least_ms"]],
        ["reading the same bytes and nothing else", result["limit_ms"], result["limit_least_ms"]],
        ["search, cold, opening included", result["cold_ms"], ""],
    ]
    values = f"{result['query_values'] / 1e6:.0f} of {result['values'] / 1e6:,.0f} million values"
    head = f"{result['cells']:,} cells, {values}, ms | median | least"
    memory = f"{result['alone_anon_mb']:.0f} MB of memory beside the pages of the files"
    about = f"Written in {result['write_s']:.0f} s; {memory}."
    return f"{_table(head, [[row[0], *map(_short, row[1:])] for row in rows])}\n\n{about}"


def ingest(result: Result) -> str:
    """Against a TileDB write."""
    rows = [
        [name, *(_short(result[f"{side}_{what}"]) for what in ("s", "peak_mb", "mb")), _short(ratio)]
        for name, side, ratio in (
            ("insignia", "fast", result["speedup_vs_tiledb"]),
            ("insignia, compact", "compact", result["speedup_vs_tiledb_compact"]),
            ("TileDB, vectorised", "tiledb", 1),
        )
    ]
    head = f"{_size(result)} | s | peak memory, MB | on disk, MB | times as fast"
    return _table(head, rows)


def statistics(result: Result) -> str:
    """Give false discoveries and power of tests of donors."""
    tests = result["tests"]
    rows = []
    for name, row in tests.items():
        bound = f" (bound {result['fdr_bound']:.3f})" if name == "van_elteren" else ""
        rows.append(
            [
                _TESTS[name],
                f"{row['runs']:,}",
                f"{row['fdr']:.3f}{bound}",
                f"{row['fdr_beside_effect']:.3f}",
                f"{row['power']:.2f}",
                f"{100 * row['testable']:.0f} %",
            ]
        )
    rates = "a false discovery, no effect planted | false among discoveries, effect planted | power"
    return _table(f"test | runs | {rates} | testable rows", rows)


def screen(result: Result) -> str:
    """All sets in all groups, against one search a set."""
    rows = [
        [
            "screen, warm (atlas just opened)",
            f"{result['screen_s']:.1f} s ({result['screen_cold_s']:.1f} s): "
            f"{result['signature_groups_per_s'] / 1e6:.2f} million signatures x groups a second",
        ],
        ["one by one", f"{result['one_by_one_s']:.0f} s: **{result['speedup']:.0f} times** as long"],
        [
            "largest difference from the means of cells",
            f"{result['largest_difference']:.0e} of the largest score".replace("e-0", "e-"),
        ],
        [
            "making the group means, once",
            f"{result['regroup_s']:.0f} s, of {result['add_s']:.0f} s for adding the cells",
        ],
        [
            "their size",
            f"{100 * result['group_bytes_share']:.0f} % of the cells' bytes at "
            f"{result['cells'] / result['groups']:.0f} cells a group",
        ],
        [
            f"comparing donors, {result['comparisons']:,} tests",
            f"{result['compare_s']:.1f} s; {result['called_without_effect']} called where nothing was planted",
        ],
    ]
    return _table(f"{result['signatures']:,} signatures, {result['groups']:,} groups | ", rows)


def faults(result: Result) -> str:
    """Say what was broken, and what was lost."""
    rows = [
        ["writers killed while adding, replacing, removing and compacting", f"{result['kills']:,}"],
        ["operations or cells lost", f"**{result['lost']}**"],
        ["bytes flipped or files cut short, over all files of an atlas", f"{result['flips']:,}"],
        ["of these not noticed by `verify`", f"**{result['flips_missed']}**"],
        ["crashes", f"{result['crashes']}"],
    ]
    return _table(f"in {result['seconds']:.0f} s | ", rows)


def serve(result: Result) -> str:
    """Tell how the explorer holds under load."""
    rows = [
        [
            f"{row['users']}",
            f"{row['new']['median_ms']:,}",
            f"{row['new']['p99_ms']:,}",
            f"{row['common']['median_ms']:,}",
            f"{row['per_second']}",
            f"{row['errors']}",
        ]
        for row in result["load"]
    ]
    return _table("users at once | median, ms | 99 %, ms | asked before, median, ms | a second | errors", rows)


def spatial_quick(result: Result) -> str:
    """One seed: the default imputer beside the best baseline and a control."""
    rows = []
    for name, title in _STACKS.items():
        methods = result[name]["methods"]
        plain = {
            key.partition(": ")[2]: row["per_gene_pcc"] for key, row in methods.items() if key.startswith("baseline")
        }
        best = max(plain, key=plain.__getitem__)
        blend = methods["imputer: blend"]
        permuted = methods["control: blend, spots permuted"]["per_gene_pcc"]
        cover = f"{100 * blend['coverage']:.0f} %"
        rows.append([title, f"**{_r(blend['per_gene_pcc'])}**", f"{_r(plain[best])} ({best})", _r(permuted), cover])
    return _table(" | blend | best baseline | permuted control | 90 % intervals cover", rows)


def spatial_full(result: Result) -> str:
    """Three seeds, every section known in turn."""
    columns = {
        "blend": "imputer: blend",
        "asign": "imputer: asign",
        "ensemble": "imputer: ensemble",
        "propagate": "baseline: propagate",
        "kernel": "baseline: kernel",
        "ridge": "baseline: ridge",
        "permuted": "control: blend, spots permuted",
        "not aligned": "control: blend, identity alignment",
        "8 true neighbours": "oracle: 8 true neighbours",
    }
    rows = []
    for name, title in _STACKS.items():
        methods = result[name]["methods"]
        found = {column: methods[key]["per_gene_pcc"] if key in methods else None for column, key in columns.items()}
        best = max(found[column] for column in ("blend", "asign", "ensemble", "propagate", "kernel"))
        shown = ["" if r is None else f"**{_r(r)}**" if _r(r) == _r(best) else _r(r) for r in found.values()]
        rows.append([title, *shown, f"{100 * methods['imputer: blend']['coverage']:.0f} %"])
    return _table(f" | {' | '.join(columns)} | intervals of blend cover", rows)


TABLES: Final[Mapping[str, Callable[[Result], str]]] = {
    function.__name__: function
    for function in (
        attribution,
        faults,
        ingest,
        screen,
        search_quick,
        search_scale,
        serve,
        spatial_full,
        spatial_quick,
        statistics,
    )
}
"""By the name of the kept result."""


def _size(result: Result) -> str:
    return f"{result['cells']:,} cells, {result['values'] / 1e6:.0f} million values"


def _bytes_per_value(result: Result) -> list[Any]:
    return [result["bytes_per_value"], result["bytes_per_value_compact"], "", result["bytes_per_value_tiledb"]]


def _table(head: str, rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {head} |", "|---" * len(rows[0]) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def _short(value: float | str) -> str:
    """Three digits, and no fewer than the whole number has."""
    if isinstance(value, str):
        return value
    digits = next((digits for limit, digits in ((100, 0), (10, 1), (1, 2)) if abs(value) >= limit), 3)
    return f"{value:,.{digits}f}" if value != 1 else "1"


def _r(value: float) -> str:
    return f"{value:.3f}".replace("0.", ".").replace("-.000", ".000")
