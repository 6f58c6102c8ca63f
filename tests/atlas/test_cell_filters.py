"""Named filters drop the cells that they say, count them, and say what they lack."""

import numpy as np
import pytest
from benchmarks.attack.atlas_cells import cells, make_atlas

from insignia.atlas import CellFilters
from insignia.core.errors import FilterError, InputError, MissingMetadata

WEIGHTS = {"GENE3": 1.0, "GENE5": 2.0}
N_GENES = np.array([100.0, 200, 300, np.nan, 500, 600, 700, 800, 900, 1000] * 3)
MITO = np.array([1.0, 2, 30, 4, np.nan, 6, 7, 8, 9, 10] * 3)
EXTRA = ["n_genes_by_counts", "total_counts", "pct_counts_mt", "in_vivo"]


@pytest.fixture
def atlas(tmp_path):
    measured = {
        "n_genes_by_counts": N_GENES,
        "total_counts": N_GENES * 3,
        "pct_counts_mt": MITO,
        "in_vivo": [True, True, False] * 10,
    }
    return make_atlas(
        tmp_path / "a", cells("S1", 30, attribution_gap=np.linspace(0, 0.29, 30), **measured), extra=EXTRA
    )


@pytest.mark.parametrize(
    ("rule", "ok", "known"),
    [
        ({"min_genes": 300}, N_GENES >= 300, ~np.isnan(N_GENES)),
        ({"max_genes": 300}, N_GENES <= 300, ~np.isnan(N_GENES)),
        ({"min_counts": 900}, N_GENES * 3 >= 900, ~np.isnan(N_GENES)),
        ({"max_pct_mito": 8}, MITO <= 8, ~np.isnan(MITO)),
        ({"max_gap": 0.105}, np.arange(30) <= 10, np.ones(30, bool)),
        ({"in_vivo": True}, np.arange(30) % 3 < 2, np.ones(30, bool)),
        ({"custom": {"late": "barcode > 'S1-5'"}}, np.array([str(i) > "5" for i in range(30)]), np.ones(30, bool)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("keep_unknown", [False, True])
def test_each_rule_keeps_what_is_known_to_pass(atlas, rule, ok, known, keep_unknown):
    result = atlas.search(WEIGHTS, filters=CellFilters(**rule, keep_unknown=keep_unknown))
    expected = ok | (~known & keep_unknown)
    np.testing.assert_array_equal(result.rows, np.flatnonzero(expected))
    np.testing.assert_array_equal(result.scores, atlas.search(WEIGHTS).scores[expected])
    (step,) = result.filters
    assert step.name in (*rule, "late")
    assert (step.before, step.dropped, step.after) == (30, 30 - expected.sum(), expected.sum())
    assert step.unknown == (0 if keep_unknown else (~known).sum())


def test_rules_follow_each_other_and_where(atlas):
    filters = CellFilters(min_genes=300, max_pct_mito=8, in_vivo=True)
    result = atlas.search(WEIGHTS, where="barcode <> 'S1-9'", filters=filters)
    table = result.filter_table.set_index("name")
    assert list(table.index) == ["min_genes", "max_pct_mito", "in_vivo"]
    assert table["before"].iloc[0] == 29
    assert table["before"].tolist()[1:] == table["after"].tolist()[:-1]
    assert (table["before"] - table["dropped"] == table["after"]).all()
    assert table["after"].iloc[-1] == len(result)
    ok = (N_GENES >= 300) & (MITO <= 8) & (np.arange(30) % 3 < 2) & (np.arange(30) != 9)
    np.testing.assert_array_equal(result.rows, np.flatnonzero(ok))
    # what was dropped goes with the hits and their tables
    about = result.call("percentile", q=50).by_sample(min_cells=1).about
    assert [step["name"] for step in about["filters"]] == list(table.index)
    assert about["filters"][0]["dropped"] == table["dropped"].iloc[0]
    assert atlas.search(WEIGHTS).filters == ()
    assert atlas.search(WEIGHTS, filters=CellFilters()).filters == ()


def test_missing_is_not_passing_whatever_it_is_written_as(tmp_path):
    # DuckDB holds NaN to be the largest number, so a careless comparison lets it pass
    text = ["True", "false", "yes", "no", "unknown", None] * 5
    atlas = make_atlas(
        tmp_path / "a",
        cells("S1", 30, in_vivo=text, n_genes=[*["500"] * 28, "nan", "many"]),
        cells("S2", 10, tissue_type=["tissue", "cell culture"] * 5),
        extra=[],
    )
    assert atlas.columns[-1] == "attribution_sum"
    atlas = make_atlas(
        tmp_path / "b",
        cells("S1", 30, in_vivo=text, n_genes=[*["500"] * 28, "nan", "many"]),
        extra=["in_vivo", "n_genes"],
    )
    atlas.add(cells("S2", 10, tissue_type=["tissue", "cell culture"] * 5), extra=["tissue_type"])
    result = atlas.search(WEIGHTS, filters=CellFilters(in_vivo=True))
    assert result.rows.tolist() == [i for i in range(30) if i % 6 in (0, 2)] + [30, 32, 34, 36, 38]
    assert result.filters[0].unknown == 10
    genes = atlas.search(WEIGHTS, filters=CellFilters(min_genes=1)).filters[0]
    assert (genes.after, genes.unknown) == (28, 12)


def test_refusals(atlas):
    with pytest.raises(
        MissingMetadata, match=r"max_distance needs a column pred_distance or .*extra=\['pred_distance'\]"
    ):
        atlas.search(WEIGHTS, filters=CellFilters(max_distance=0.02))
    with pytest.raises(MissingMetadata, match="primary needs a column is_primary_data"):
        atlas.search(WEIGHTS, filters=CellFilters(primary=True))
    with pytest.raises(
        FilterError, match=r"No cell is left after the filters: min_genes dropped 30 of 30.*keep_unknown"
    ):
        atlas.search(WEIGHTS, filters=CellFilters(min_genes=5000))
    with pytest.raises(FilterError, match="does not select cells"):
        atlas.search(WEIGHTS, filters=CellFilters(custom={"x": "true; DROP TABLE cells"}))
    with pytest.raises(InputError, match="min_genes is a number of at least 0; found -1"):
        CellFilters(min_genes=-1)
    with pytest.raises(InputError, match="max_pct_mito is in percent, above 0 and up to 100; found 110"):
        CellFilters(max_pct_mito=110)
