"""What must not change the answers of an atlas: orders, divisions, encodings, scales, detours over files."""

import tempfile
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from benchmarks.attack.atlas_cells import GENES, RECORD, assert_scores, cells, make_atlas
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import sparse
from tests.strategies import FEW, STORED, signatures, stored, studies

from insignia.atlas import Atlas
from insignia.core import keys
from insignia.data import read, write_h5ad

pytestmark = pytest.mark.filterwarnings("ignore")


def answers(path, weights, **options):
    """Scores by study and barcode."""
    result = Atlas.open(path).search(weights, min_coverage=0, **options)
    frame = result.metadata(["study", "barcode"])
    return pd.Series(result.scores, index=pd.MultiIndex.from_frame(frame.astype(str))).sort_index()


def built(place, name, parts, **options):
    atlas = Atlas.create(place / name, genes=GENES, record=RECORD, **options)
    atlas.add(list(parts))
    return place / name


def same(found, expected):
    pd.testing.assert_series_equal(found, expected, check_exact=True)


def fresh():
    return tempfile.TemporaryDirectory()


@FEW
@given(parts=studies(), weights=signatures(), seed=st.integers(0, 99))
def test_orders_of_cells_genes_and_studies_change_no_score(parts, weights, seed):
    rng = np.random.default_rng(seed)
    with fresh() as name:
        place = Path(name)
        expected = answers(built(place, "as-is", parts), weights)
        assert_scores(
            Atlas.open(place / "as-is").search(weights, min_coverage=0).scores, parts, weights, min_coverage=0
        )
        cells_moved = [part[rng.permutation(part.n_obs)].copy() for part in parts]
        same(answers(built(place, "cells", cells_moved), weights), expected)
        genes_moved = [part[:, rng.permutation(part.n_vars)].copy() for part in parts]
        same(answers(built(place, "genes", genes_moved), weights), expected)
        same(answers(built(place, "studies", parts[::-1]), weights), expected)


@FEW
@given(parts=studies(), weights=signatures(), how=st.sampled_from(sorted(STORED)), backed=st.booleans())
def test_how_attributions_are_held_changes_no_score(parts, weights, how, backed):
    with fresh() as name:
        place = Path(name)
        expected = answers(built(place, "as-is", parts), weights)
        held = []
        for number, part in enumerate(parts):
            other = part.copy()
            other.layers[keys.ATTRIBUTION] = stored(part.layers[keys.ATTRIBUTION].toarray(), how)
            write_h5ad(other, place / f"{number}.h5ad")
            held.append(read(place / f"{number}.h5ad", backed=backed))
        same(answers(built(place, "held", held), weights), expected)
        compact = answers(built(place, "compact", parts, encoding="compact"), weights)
        pd.testing.assert_series_equal(compact, expected, rtol=0.02, atol=1.0)


@FEW
@given(parts=studies(max_studies=1), weights=signatures(), share=st.floats(0.1, 0.9))
def test_a_study_in_two_parts_is_the_same_cells(parts, weights, share):
    part = parts[0]
    cut = min(part.n_obs - 1, max(1, int(share * part.n_obs)))
    with fresh() as name:
        place = Path(name)
        whole = answers(built(place, "whole", [part]), weights)
        first, second = part[:cut].copy(), part[cut:].copy()
        second.obs["study"] = "S9"
        two = answers(built(place, "two", [first, second]), weights)
        same(two.droplevel("study").sort_index(), whole.droplevel("study").sort_index())
        one_by_one = make_atlas(place / "one-by-one", second, first).path
        same(answers(one_by_one, weights), two)


@FEW
@given(parts=studies(), weights=signatures(), factor=st.sampled_from([0.25, 3.0, 1e-6, 1e6]))
def test_scale_of_weights_and_genes_of_no_weight_change_no_score_and_no_hit(parts, weights, factor):
    assume(len(parts) > 1)
    with fresh() as name:
        path = built(Path(name), "it", parts)
        atlas = Atlas.open(path)
        usual = atlas.search(weights, min_coverage=0)
        scaled = atlas.search({gene: factor * weight for gene, weight in weights.items()}, min_coverage=0)
        np.testing.assert_allclose(scaled.scores, usual.scores, rtol=1e-5, atol=1e-5)
        idle = next(f"GENE{i}" for i in range(40) if f"GENE{i}" not in weights)
        more = atlas.search({**weights, idle: 0.0}, min_coverage=0)
        scored = np.isfinite(usual.scores) & np.isfinite(more.scores)
        np.testing.assert_array_equal(more.scores[scored], usual.scores[scored])
        unknown = atlas.search({**weights, "NOSUCHGENE": 5.0}, min_coverage=0)
        np.testing.assert_array_equal(unknown.scores, usual.scores)
        power = atlas.search({gene: 4.0 * weight for gene, weight in weights.items()}, min_coverage=0)
        np.testing.assert_array_equal(power.scores, usual.scores)
        assume(np.isfinite(usual.scores).any())
        np.testing.assert_array_equal(power.call("percentile", q=75).is_hit, usual.call("percentile", q=75).is_hit)


FILTERS = ("disease = 'sepsis'", "cell_type = 'B cell'", "\"sample\" IN ('s0', 's2')", "donor <> 'd1'", "study = 'S1'")


@FEW
@given(
    parts=studies(), weights=signatures(), first=st.sampled_from(FILTERS), second=st.sampled_from(FILTERS)
)  # fmt: skip
def test_filters_commute_and_divide_the_cells(parts, weights, first, second):
    with fresh() as name:
        path = built(Path(name), "it", parts)

        def chosen(where):
            try:
                return answers(path, weights, where=where)
            except ValueError:  # no cell is left
                return answers(path, weights).iloc[:0]

        everything = answers(path, weights)
        one, two = chosen(first), chosen(second)
        both = chosen(f"({first}) AND ({second})")
        same(chosen(f"({second}) AND ({first})"), both)
        assert list(both.index) == list(one.index.intersection(two.index).sort_values())
        same(both, everything.loc[both.index])
        either = chosen(f"({first}) OR ({second})")
        assert set(either.index) == set(one.index) | set(two.index)
        rest = chosen(f"NOT ({first})")
        assert len(rest) + len(one) == len(everything)


@FEW
@given(parts=studies(), weights=signatures(), cut=st.booleans())
def test_a_detour_over_exported_files_changes_no_score(parts, weights, cut):
    with fresh() as name:
        place = Path(name)
        path = built(place, "it", parts)
        expected = answers(path, weights)
        files = Atlas.open(path).export(place / "out").files
        again = built(place, "again", [read(file) for file in files])
        same(answers(again, weights), expected)
        if cut and len(parts) > 1:
            Atlas.open(path).remove(["S1"])
            Atlas.open(path).compact()
            left = expected[expected.index.get_level_values("study") != "S1"]
            same(answers(path, weights), left)


def test_union_of_two_atlases_is_the_atlas_of_both(tmp_path):
    one, two = cells("S1", 20), cells("S2", 15, genes=[30, 3, 5, 8])
    weights = {"GENE3": 1.0, "GENE8": -2.0}
    parts = [answers(make_atlas(tmp_path / name, part).path, weights) for name, part in (("a", one), ("b", two))]
    both = answers(make_atlas(tmp_path / "both", [one, two]).path, weights)
    same(both, pd.concat(parts).sort_index())
    joined = anndata.concat([one, two], join="inner")
    assert sparse.issparse(joined.layers[keys.ATTRIBUTION])
