"""Many signatures between groups of donors: the tests of one signature, found again in all, and corrected together."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from benchmarks.attack.atlas_cells import cells, make_atlas
from tests.atlas.screen_atlas import PLANTED, planted_atlas, random_sets, study

from insignia.atlas.samples import SampleTable
from insignia.core.errors import CoverageWarning, InputError, MissingMetadata, UnknownName
from insignia.stats import benjamini_hochberg

SETS = {"planted": PLANTED, **random_sets(40)}


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    return planted_atlas(tmp_path_factory.mktemp("compare") / "a")


@pytest.fixture(scope="module")
def screen(atlas):
    return atlas.screen(SETS)


@pytest.fixture(scope="module")
def found(screen):
    return screen.compare()


def test_a_planted_program_comes_first(found):
    first = found.table.iloc[0]
    assert (first["signature"], first["group"], first["stratum"]) == ("planted", "sepsis", "monocyte")
    assert first["q"] < 1e-3
    assert 0 < first["low"] < first["shift"] < first["high"]
    assert first["effect"] > 1.5
    assert first["mean_score"] > first["reference_score"]
    assert (first["donors"], first["studies"], first["studies_with_both"]) == (12, 2, 2)
    # attributions of a cell add up to 1,000: what the planted genes gain in monocytes, all others lose
    others = found.called[found.called["signature"] != "planted"]
    assert (others["stratum"] == "monocyte").all()
    assert (others["shift"] < 0).all()
    assert set(found.table["group"]) == {"sepsis", "flu"}


def test_without_an_effect_little_is_found(tmp_path):
    null = planted_atlas(tmp_path / "a", effect=0.0).screen(random_sets(60)).compare(n_intervals=0)
    assert len(null.table) == 60 * 4
    assert len(null.called) <= 6
    assert np.isnan(null.table["low"]).all()


@pytest.mark.parametrize("stratum", [None, "cell_type"])
@pytest.mark.parametrize("test", ["van_elteren", "mann_whitney", "meta"])
@pytest.mark.parametrize("name", ["planted", "random 3"])
def test_it_is_the_comparison_of_one_signature(atlas, screen, stratum, test, name):
    """The oracle: `SampleTable.compare` on tables whose fractions are the mean scores of a search."""
    result = atlas.search(SETS[name])
    samples = result.call("percentile", q=90).by_sample(stratum)
    table = samples.table.assign(hits=samples.table["mean_score"] * samples.table["cells"])
    table["fraction"] = table["hits"] / table["cells"]
    alone = SampleTable.compare(replace(samples, table=table), test=test, n_boot=1).table
    ours = screen.compare(stratum=stratum, test=test, n_intervals=0).table
    ours = ours[ours["signature"] == name]
    index, columns = ["group", "stratum"], ["shift", "cliffs_delta", "p", "smallest_p"]
    ours, alone = ours.set_index(index).sort_index(), alone.set_index(index).sort_index()
    np.testing.assert_allclose(ours[columns], alone[columns].astype(float), rtol=1e-4)
    renamed = {"mean_fraction": "mean_score", "reference_fraction": "reference_score"}
    alone = alone.drop(columns="mean_score", errors="ignore").rename(columns=renamed)
    same = ["donors", "reference_donors", "studies", "studies_with_both", "testable", "note"]
    pd.testing.assert_frame_equal(ours[same], alone[same], check_dtype=False)
    np.testing.assert_allclose(ours[list(renamed.values())], alone[list(renamed.values())].astype(float), rtol=1e-4)


def test_one_correction_over_everything_tested(found):
    tested = found.table["testable"].to_numpy(dtype=bool)
    np.testing.assert_allclose(found.table["q"][tested], benjamini_hochberg(found.table["p"][tested].to_numpy()))
    assert found.table["q"][~tested].isna().all()
    assert tested.sum() == len(SETS) * 4


def test_studies_that_measured_too_little_take_no_part(atlas):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CoverageWarning)
        late = {"late": ["GENE36", "GENE37", "GENE38"]}
        screen = atlas.screen({**late, "planted": PLANTED})
        only = atlas.screen(late, where="study <> 'A'", min_coverage=0.0)
    table = screen.compare(stratum=None).table.set_index(["signature", "group"])
    assert (table.loc[("late", "sepsis"), "donors"], table.loc[("planted", "sepsis"), "donors"]) == (6, 12)
    assert table.loc[("late", "sepsis"), "reference_donors"] == 12
    table = only.compare(stratum=None).table.set_index("group")
    assert table.loc["sepsis", "donors"] == 0
    assert not table.loc["sepsis", "testable"]
    assert "no case has a score" in table.loc["sepsis", "note"]


def test_samples_of_a_donor_are_one_unit_and_pooled_donors_none(tmp_path):
    adata = study("A")
    adata.obs["sample"] = [f"{donor}-{i % 3}" for i, donor in enumerate(adata.obs["donor"])]
    pooled = cells("P", 90, donor="pooled", sample="s", cell_type="monocyte", disease="normal")
    screen = make_atlas(tmp_path / "a", [adata, pooled]).screen({"planted": PLANTED})
    found = screen.compare(stratum=None, min_cells=10)
    assert (found.table.loc[0, "donors"], found.table.loc[0, "reference_donors"]) == (6, 6)
    assert found.units.n_left_out == 1
    with pytest.raises(InputError, match=r"None of 37 samples has 5000 cells"):
        screen.compare(min_cells=5000, stratum=None)


def test_sentences(found, screen):
    said = found.sentence()
    assert said.startswith("Of 164 testable comparisons of 41 signatures with normal, ")
    assert "planted in sepsis, monocyte (+" in said
    three = screen.take(np.flatnonzero(screen.groups["donor"].isin(["d0", "d1", "d6", "d7"]))).compare()
    assert "can be tested" in three.sentence()
    flu = screen.take(np.flatnonzero(screen.groups["study"] == "C")).compare(stratum=None)
    assert "None of 41 testable comparisons" in flu.sentence()


def test_effects_as_a_matrix(found):
    one = found.matrix(stratum="monocyte")
    assert one.shape == (len(SETS), 2)
    assert one["sepsis"].idxmax() == "planted"
    assert found.matrix("q").columns.names == ["group", "stratum"]


def test_refusals(screen, atlas):
    with pytest.raises(InputError, match="counts hits among cells"):
        screen.compare(test="beta_binomial")
    with pytest.raises(UnknownName, match="van_elteren"):
        screen.compare(test="t")
    with pytest.raises(InputError, match="No donor has disease 'healthy' to compare with"):
        screen.compare(reference="healthy")
    with pytest.raises(MissingMetadata, match=r"no column 'age' .* Screen with columns="):
        screen.compare("age")
    with pytest.raises(InputError, match="no group but 'blood'"):
        screen.compare("tissue", reference="blood")
    with pytest.raises(InputError, match="no column 'size'"):
        screen.compare(n_intervals=0).matrix("size")
