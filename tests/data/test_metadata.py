"""Metadata come out under the names of an atlas, complete, as text, and nothing is merged or dropped."""

import numpy as np
import pandas as pd
import pytest

from insignia.core import keys
from insignia.core.errors import DuplicateNames, InputError, MissingMetadata
from insignia.data import standardise_obs
from insignia.data.metadata import USUAL_NAMES


@pytest.fixture
def obs():
    return pd.DataFrame(
        {
            "study": ["A", "A", "B", "B"],
            "sample": ["s1", "s2", "s1", "s1"],
            "donor": ["d1", "d2", "d1", "d1"],
            "tissue": "blood",
            "disease": ["normal", "COVID-19", "normal", "COVID-19"],
            "cell_type": ["B cell", "T cell", "B cell", "T cell"],
            "other": 1,
        },
        index=["c1", "c2", "c1", "c3"],
    )


def test_columns_order_text_and_index(obs):
    before = obs.copy()
    table = standardise_obs(obs)
    assert tuple(table.columns) == keys.METADATA
    assert list(table["barcode"]) == list(table.index) == ["c1", "c2", "c1", "c3"]
    assert all(isinstance(value, str) for value in table.to_numpy().ravel())
    pd.testing.assert_frame_equal(table.drop(columns="barcode"), obs.drop(columns="other"))
    pd.testing.assert_frame_equal(obs, before)


def test_equal_sample_names_of_two_studies_stay_apart(obs):
    sizes = standardise_obs(obs).groupby(["study", "sample"]).size()
    assert sizes.to_dict() == {("A", "s1"): 1, ("A", "s2"): 1, ("B", "s1"): 2}


@pytest.mark.parametrize(
    "names",
    [
        {"study": "dataset_id", "donor": "donor_id", "sample": "sample_id"},
        {"cell_type": "prediction"},
        {"study": "GSE", "sample": "Sample Name", "donor": "Patient.ID", "disease": "Disease-State"},
        *({ours: theirs} for ours, usual in USUAL_NAMES.items() for theirs in usual),
    ],
)
def test_names_of_other_sources(obs, names):
    pd.testing.assert_frame_equal(standardise_obs(obs.rename(columns=names)), standardise_obs(obs))


def test_the_own_name_wins_over_another_sources(obs):
    obs["dataset_id"] = "X"
    obs.insert(0, "Study", "Y")
    obs["prediction"] = "Z"
    assert list(standardise_obs(obs)["study"]) == ["A", "A", "B", "B"]
    assert "Z" not in set(standardise_obs(obs)["cell_type"])


def test_the_first_of_two_spellings_wins(obs):
    obs = obs.rename(columns={"tissue": "Tissue"}).assign(TISSUE="lung")
    assert set(standardise_obs(obs)["tissue"]) == {"blood"}


def test_callers_columns_and_constants_win(obs):
    obs["who"] = ["p1", "p2", "p3", "p4"]
    obs["id"] = ["b1", "b2", "b3", "b4"]
    table = standardise_obs(obs, columns={"who": "donor", "id": "barcode"}, constants={"study": "GSE1", "tissue": " "})
    assert list(table["donor"]) == ["p1", "p2", "p3", "p4"]
    assert list(table["barcode"]) == ["b1", "b2", "b3", "b4"]
    assert set(table["study"]) == {"GSE1"}
    assert set(table["tissue"]) == {"unknown"}


def test_a_column_may_serve_as_sample_and_donor(obs):
    table = standardise_obs(obs.drop(columns=["sample", "donor"]).assign(donor_id="p1"), columns={"donor_id": "sample"})
    assert set(table["sample"]) == set(table["donor"]) == {"p1"}


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, "", " ", "nan", "NaN", "NA", "None", "<NA>", "Unknown"])
def test_missing_values_become_unknown_and_stay(obs, missing):
    obs["tissue"] = pd.Series(["blood", missing, "blood", "lung"], index=obs.index, dtype=object)
    assert list(standardise_obs(obs)["tissue"]) == ["blood", "unknown", "blood", "lung"]


def test_a_disease_called_none_is_kept(obs):
    assert set(standardise_obs(obs.assign(disease="none"))["disease"]) == {"none"}


def test_categories_numbers_and_blanks(obs):
    obs["donor"] = [1.0, np.nan, 3.0, 4.0]
    obs["sample"] = [7, 8, 7, 7]
    obs["tissue"] = pd.Categorical(["blood ", None, "blood", "lung"])
    obs["disease"] = [0.5, np.nan, 1.0, 2.0]
    table = standardise_obs(obs)
    assert list(table["donor"]) == ["1", "unknown", "3", "4"]
    assert list(table["sample"]) == ["7", "8", "7", "7"]
    assert list(table["tissue"]) == ["blood", "unknown", "blood", "lung"]
    assert list(table["disease"]) == ["0.5", "unknown", "1.0", "2.0"]


def test_without_donor_it_is_unknown(obs):
    assert set(standardise_obs(obs.drop(columns="donor"))["donor"]) == {"unknown"}


def test_no_cells():
    empty = pd.DataFrame({key: [] for key in keys.METADATA}, dtype=object)
    assert standardise_obs(empty).shape == (0, 7)


def test_what_is_absent_is_named_with_the_way_out(obs):
    with pytest.raises(MissingMetadata, match=r"obs lacks study, disease \(columns there: sample,.*other\)") as refusal:
        standardise_obs(obs.drop(columns=["study", "disease"]))
    assert "columns={'my_column': 'study'}" in str(refusal.value)
    assert "constants={'study': '...'}" in str(refusal.value)
    with pytest.raises(MissingMetadata, match=r"obs has no column 'patient'\. It has: study"):
        standardise_obs(obs, columns={"patient": "donor"})


def test_foreign_and_double_targets_are_refused(obs):
    with pytest.raises(InputError, match=r"'condition' is no metadata column\. There are: study, sample"):
        standardise_obs(obs, columns={"other": "condition"})
    with pytest.raises(InputError, match=r"yours to ours; did you mean columns=\{'patient': 'donor'\}\?"):
        standardise_obs(obs, columns={"donor": "patient"})
    with pytest.raises(InputError, match="'batch' is no metadata column"):
        standardise_obs(obs, constants={"batch": "1"})
    with pytest.raises(InputError, match="'study' is given twice"):
        standardise_obs(obs, columns={"other": "study"}, constants={"study": "A"})
    with pytest.raises(InputError, match="'donor' is given twice"):
        standardise_obs(obs, columns={"other": "donor", "sample": "donor"})


def test_a_barcode_repeats_within_its_study(obs):
    obs.index = ["c1", "c2", "c3", "c3"]
    with pytest.raises(DuplicateNames, match=r"1 repeat, e\.g\. 'c3' in study 'B'.*Prefix obs_names"):
        standardise_obs(obs)
    with pytest.raises(DuplicateNames, match="'c1' in study 'one'"):
        standardise_obs(obs.set_index(pd.Index(["c1", "c2", "c1", "c3"])), constants={"study": "one"})
