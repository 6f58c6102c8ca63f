"""Screens: group means equal those of a search, whatever the groups, the segments and what studies measured."""

import warnings

import numpy as np
import pytest
from benchmarks.attack.atlas_cells import N_GENES, cells, make_atlas

from insignia.core import keys
from insignia.core.errors import (
    CoverageWarning,
    FilterError,
    GeneMatchError,
    InputError,
    MissingMetadata,
    SignatureError,
    UnknownName,
)
from insignia.genes import Signature, write_gmt

COLUMNS = [keys.STUDY, keys.SAMPLE, keys.DONOR, keys.TISSUE, keys.DISEASE, keys.CELL_TYPE]
SIGNATURES = {
    "three": ["GENE3", "GENE5", "GENE8"],
    "signed": {"GENE8": 0.5, "GENE3": 1.0, "GENE30": -2.0, "GENE5": 2.0, "GENE39": 1.5},
    "late": ["GENE36", "GENE37", "GENE38"],
    "half": ["GENE1", "GENE2", "GENE35", "GENE36", "NOT", "THERE"],
    "all": [f"GENE{k}" for k in range(N_GENES)],
}


@pytest.fixture(scope="module")
def studies():
    return [
        cells("S1", 90),
        cells("S2", 60, seed=4, genes=range(35)),
        cells("S3", 40, genes=[3, 5, 8, 20]),
        # one study in two parts that measured different genes: its groups have two panels
        cells("S4", 50, seed=1),
        cells("S4", 31, seed=2, genes=range(30)),
    ]


@pytest.fixture(scope="module")
def atlas(tmp_path_factory, studies):
    studies[4].obs_names = [f"second-{name}" for name in studies[4].obs_names]
    return make_atlas(tmp_path_factory.mktemp("screen") / "a", studies, max_cells_per_segment=70)


def means_of_search(atlas, thing, columns, **options):
    """Mean score of every group, cell by cell; NaN where no cell has one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CoverageWarning)
        result = atlas.search(thing, **options)
    obs = result.obs[columns].astype(str).assign(score=result.scores.astype(np.float64))
    return obs.groupby(columns, sort=True)["score"].mean()


def screened(atlas, things=SIGNATURES, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CoverageWarning)
        return atlas.screen(things, **options)


def assert_equal_to_searches(screen, atlas, **options):
    for name in screen.names:
        expected = means_of_search(atlas, SIGNATURES[name], screen.columns, **options)
        np.testing.assert_array_equal(screen.groups["cells"] > 0, True)
        found = screen.matrix()[name]
        assert list(found.index) == list(expected.index)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("agg", ["mean", "sum", "weighted_mean"])
@pytest.mark.parametrize("min_coverage", [0.0, 0.3, 0.5])
def test_scores_are_the_means_of_a_search(atlas, agg, min_coverage):
    things = SIGNATURES if min_coverage else {name: SIGNATURES[name] for name in ("three", "signed", "all")}
    screen = screened(atlas, things, agg=agg, min_coverage=min_coverage)
    assert screen.columns == COLUMNS
    assert_equal_to_searches(screen, atlas, agg=agg, min_coverage=min_coverage)


@pytest.mark.parametrize(
    "where",
    ["disease = 'sepsis'", "cell_type <> 'B cell'", "study IN ('S1', 'S4')", "attribution_gap > 0.4"],
    ids=["whole groups", "types", "segments left out", "parts of groups"],
)
def test_where_chooses_the_cells_of_a_search(atlas, where):
    screen = screened(atlas, {"three": SIGNATURES["three"], "signed": SIGNATURES["signed"]}, where=where)
    assert_equal_to_searches(screen, atlas, where=where)
    assert screen.groups["cells"].sum() == len(atlas.obs(where))


def test_groups_of_other_columns(atlas):
    screen = screened(atlas, columns=["cell_type"])
    assert screen.columns == ["study", "cell_type"]
    assert_equal_to_searches(screen, atlas)


def test_pooled_groups_are_means_over_cells(atlas):
    pooled = screened(atlas).pool(["disease", "cell_type"])
    assert_equal_to_searches(pooled, atlas)
    assert pooled.groups["cells"].sum() == len(atlas)
    with pytest.raises(MissingMetadata, match="The groups have no column 'barcode'"):
        pooled.pool("barcode")


def test_many_signatures_at_once_are_those_one_by_one(atlas):
    rng = np.random.default_rng(0)
    many = {
        f"set {k}": {
            f"GENE{g}": float(w) for g, w in zip(rng.permutation(N_GENES)[:6], rng.normal(size=6), strict=True)
        }
        for k in range(300)
    }
    all_at_once = screened(atlas, many, min_coverage=0.2)
    for name in ("set 0", "set 127", "set 128", "set 299"):
        alone = screened(atlas, {name: many[name]}, min_coverage=0.2)
        np.testing.assert_array_equal(all_at_once.matrix()[name], alone.matrix()[name])


def test_threads_change_nothing(atlas, monkeypatch):
    one = screened(atlas).scores
    monkeypatch.setenv("INSIGNIA_THREADS", "3")
    again = type(atlas).open(atlas.path)
    np.testing.assert_array_equal(screened(again).scores, one)


def test_what_has_no_score_is_named(atlas):
    things = {**SIGNATURES, "nobody": ["NOT", "THERE", "EITHER"], "cancels": {"GENE1": 1.0, "GENE2": -1.0}}
    with pytest.warns(
        CoverageWarning, match=r"Of 7 signatures 2 have no score anywhere \(nobody, cancels\), and 3 have"
    ):
        screen = atlas.screen(things, agg="weighted_mean")
    table = screen.unscored().set_index("signature")
    assert table.loc["nobody", "reason"] == "none of its genes is known"
    assert table.loc["cancels", "reason"] == "the weights of the measured genes cancel"
    covered = screen.coverage_table().set_index(["study", "signature"]).sort_index()
    assert covered.loc[("S3", "half"), "coverage"].eq(0).all()
    assert covered.loc[("S2", "half"), "coverage"].eq(2 / 6).all()
    assert not covered.loc[("S2", "half"), "scored"].any()


def test_tables_and_anndata(atlas):
    screen = screened(atlas)
    frame, matrix, adata = screen.frame(), screen.matrix(), screen.to_adata()
    assert len(frame) == matrix.size
    assert list(frame["signature"].cat.categories) == list(SIGNATURES) == list(adata.var_names)
    np.testing.assert_array_equal(frame["score"], matrix.to_numpy().ravel())
    np.testing.assert_array_equal(adata.X, matrix)
    assert adata.obs_names.is_unique
    assert list(adata.obs["disease"].cat.categories) == ["normal", "sepsis"]
    assert adata.obs["n_cells"].sum() == len(atlas)
    partly = frame[(frame["study"] == "S4") & (frame["signature"] == "late")]
    groups = screen.groups.set_index(COLUMNS)["cells"]
    # cells of the part that did not measure these genes have no score
    assert (partly["cells"].to_numpy() < groups.loc[partly.set_index(COLUMNS).index]).any()
    assert partly["cells"].sum() == 50


def test_scanpy_plots_it(atlas):
    scanpy = pytest.importorskip("scanpy")
    adata = screened(atlas, {"three": SIGNATURES["three"], "all": SIGNATURES["all"]}).to_adata()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        drawn = scanpy.pl.matrixplot(adata, ["three", "all"], groupby="cell_type", return_fig=True)
    expected = adata.to_df().groupby(adata.obs["cell_type"], observed=True).mean()
    np.testing.assert_allclose(drawn.values_df, expected, rtol=1e-5)


def test_signatures_come_from_files_lists_and_mappings(atlas, tmp_path):
    sets = [Signature("one", ("GENE1", "GENE2")), Signature.from_up_down("two", ["GENE3"], ["GENE4"])]
    write_gmt(sets, tmp_path / "sets.gmt")
    assert screened(atlas, tmp_path / "sets.gmt").names == ["one", "two_UP", "two_DN"]
    assert screened(atlas, str(tmp_path / "sets.gmt")).names == ["one", "two_UP", "two_DN"]
    assert screened(atlas, sets).names == ["one", "two"]
    assert screened(atlas, sets[0]).names == ["one"]
    assert screened(atlas, {"mine": sets[0]}).names == ["mine"]


def test_refusals(atlas, tmp_path):
    with pytest.raises(SignatureError, match="these repeat: a"):
        atlas.screen([Signature("a", ("GENE1",)), Signature("a", ("GENE2",))])
    with pytest.raises(SignatureError, match="Gene lists need names"):
        atlas.screen([["GENE1"]])
    with pytest.raises(SignatureError, match="no signatures"):
        atlas.screen([])
    with pytest.raises(InputError, match=r"There is no file none\.gmt"):
        atlas.screen("none.gmt")
    with pytest.raises(UnknownName, match="no bundled signature 'IL1B'"):
        atlas.screen(["IL1B"])
    with pytest.raises(GeneMatchError, match="None of the genes of 2 signatures"):
        atlas.screen({"a": ["NOT"], "b": ["THERE"]})
    with pytest.raises(GeneMatchError, match=r"No study can be scored for any of 1 signatures .*more than 25%"):
        atlas.screen({"a": ["GENE1", "NOT", "THERE", "EITHER"]})
    with pytest.raises(MissingMetadata, match="no column 'celltype' to group cells by"):
        atlas.screen(SIGNATURES, columns=["celltype"])
    with pytest.raises(InputError, match="Cells cannot be grouped by barcode"):
        atlas.screen(SIGNATURES, columns=["barcode"])
    with pytest.raises(FilterError, match="No cell of the atlas"):
        atlas.screen(SIGNATURES, where="study = 'S9'")
    with pytest.raises(InputError, match="min_coverage is a fraction"):
        atlas.screen(SIGNATURES, min_coverage=2)
    with pytest.raises(SignatureError, match="agg must be one of"):
        atlas.screen(SIGNATURES, agg="median")
    with pytest.raises(UnknownName, match="No signature 'b' was screened"):
        screened(atlas).place("b")
