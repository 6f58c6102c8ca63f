"""Mapping files rename columns and values; sets of diseases have one spelling; nothing merges."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insignia.core import keys
from insignia.core.errors import FileFormatError, InputError, MissingMetadata
from insignia.data import MetadataMap, bundled_maps, join_labels, metadata_map, split_labels, standardise_obs

TOML = """
name = "lab"
[columns]
patient = ["donor", "sample"]
"cell label" = "cell_type"
condition = "disease"
[constants]
study = "LAB1"
tissue = "blood"
[values.disease]
healthy = "normal"
CoV2 = "COVID-19"
"MIS-C" = "MIS-C || COVID-19"
[values.cell_type]
Mono = "monocyte"
[extra]
depth = "n_counts"
"""
CSV = """part,theirs,ours
columns,patient,donor
columns,patient,sample
columns,cell label,cell_type
columns,condition,disease
constants,study,LAB1
constants,tissue,blood
values.disease,healthy,normal
values.disease,CoV2,COVID-19
values.disease,MIS-C,MIS-C || COVID-19
values.cell_type,Mono,monocyte
extra,depth,n_counts
"""


@pytest.fixture
def obs():
    return pd.DataFrame(
        {
            "patient": ["p1", "p2", "p3", "p4"],
            "cell label": ["Mono", "B", "Mono", np.nan],
            "condition": ["healthy", "CoV2;flu", "MIS-C", None],
            "depth": [1.0, 2, 3, 4],
        },
        index=["a", "b", "c", "d"],
    )


@pytest.mark.parametrize("kind", ["toml", "csv", "dict"])
def test_a_mapping_file_renames_columns_and_values(obs, tmp_path, kind):
    path = tmp_path / f"lab.{kind}"
    path.write_text(CSV if kind == "csv" else TOML)
    mapping = path if kind != "dict" else MetadataMap.from_dict(__import__("tomllib").loads(TOML))
    table = standardise_obs(obs, mapping=mapping)
    assert list(table["donor"]) == list(table["sample"]) == ["p1", "p2", "p3", "p4"]
    assert set(table["study"]) == {"LAB1"}
    assert set(table["tissue"]) == {"blood"}
    assert list(table["cell_type"]) == ["monocyte", "B", "monocyte", "unknown"]
    assert list(table["disease"]) == ["normal", "COVID-19 || flu", "COVID-19 || MIS-C", "unknown"]
    assert metadata_map(mapping).extra == {"depth": "n_counts"}
    # what the caller says wins
    told = standardise_obs(obs, mapping=mapping, columns={"cell label": "tissue"}, constants={"study": "GSE1"})
    assert set(told["study"]) == {"GSE1"}
    assert list(told["tissue"]) == ["Mono", "B", "Mono", "unknown"]


@pytest.mark.parametrize(
    "text", ["COVID-19;flu", "flu || COVID-19", "flu;COVID-19 ; flu", " COVID-19||flu ", "unknown;flu || COVID-19"]
)
def test_a_set_of_diseases_has_one_spelling(text):
    assert join_labels(text) == "COVID-19 || flu"
    assert split_labels(text) == ("COVID-19", "flu")


def test_nothing_is_unknown():
    assert split_labels(" ; || ") == ("unknown",)
    assert join_labels("unknown") == "unknown"


@given(st.lists(st.text(st.characters(exclude_characters=";|", exclude_categories=["C", "Z"]), min_size=1), min_size=1))
def test_joining_and_splitting_undo_each_other(labels):
    text = " || ".join(labels)
    assert split_labels(join_labels(text)) == split_labels(text)
    assert set(split_labels(text)) - {"unknown"} == set(labels) - {"unknown"}


def test_cellxgene_names(tmp_path):
    obs = pd.DataFrame(
        {
            "dataset_id": "D1",
            "donor_id": ["pooled", "d2"],
            "tissue": ["blood", "lung"],
            "disease": ["normal", "COVID-19 || pneumonia"],
            "cell_type": ["monocyte", "unknown"],
            "is_primary_data": [True, False],
        },
        index=["a", "b"],
    )
    table = standardise_obs(obs, mapping="cellxgene")
    assert table.iloc[1].tolist() == ["D1", "d2", "d2", "lung", "COVID-19 || pneumonia", "unknown", "b"]
    assert list(table["donor"]) == ["pooled", "d2"]
    terms = obs.rename(columns={"disease": "disease_ontology_term_id", "tissue": "tissue_ontology_term_id"})
    terms["disease_ontology_term_id"] = ["PATO:0000461", "MONDO:0100096 || MONDO:0005249"]
    found = standardise_obs(terms, mapping="cellxgene")
    assert list(found["disease"]) == ["normal", "MONDO:0005249 || MONDO:0100096"]
    with pytest.raises(MissingMetadata, match="obs lacks sample"):
        standardise_obs(obs)


def test_scimilarity_names():
    obs = pd.DataFrame(
        {
            "study": "GSE1",
            "sample": ["GSM1", "GSM2", "GSM3"],
            "prediction": "classical monocyte",
            "tissue": ["blood", np.nan, "NA"],
            "disease": ["COVID-19;healthy", "mucocutaneous lymph node syndrome", "NA"],
            "prediction_nn_dist": 0.01,
        },
        index=list("abc"),
    )
    table = standardise_obs(obs, mapping="scimilarity")
    assert list(table["disease"]) == ["COVID-19 || normal", "Kawasaki disease", "unknown"]
    assert list(table["tissue"]) == ["blood", "unknown", "unknown"]
    assert set(table["cell_type"]) == {"classical monocyte"}
    assert set(table["donor"]) == {"unknown"}


@pytest.mark.parametrize("name", bundled_maps())
def test_bundled_maps_are_whole(name):
    mapping = metadata_map(name)
    assert mapping.name == name
    assert mapping.description
    assert set(mapping.extra.values()).isdisjoint(keys.METADATA)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ({"columns": {"a": "condition"}}, "'condition', which is no metadata column.*stand under extra"),
        ({"columns": {"a": "donor", "b": ["sample", "donor"]}}, "gives 'donor' two columns"),
        ({"values": {"batch": {"1": "2"}}}, "'batch', which is no metadata column"),
        ({"values": {"disease": "normal"}}, "Values are mapped by column"),
        ({"colums": {}}, "parts name, description, columns.*found 'colums'"),
        ({"columns": ["a"]}, "'columns' of a mapping is a table"),
        ({"extra": {"a": "tissue"}}, "keeps an extra column as 'tissue'"),
        ({"extra": {"a": "x", "b": "x"}}, "two extra columns under one name"),
    ],
)
def test_contradictions_are_refused(content, match):
    with pytest.raises(InputError, match=match):
        MetadataMap.from_dict(content)


@pytest.mark.parametrize(
    ("name", "text", "error", "match"),
    [
        ("x.toml", "[columns\n", FileFormatError, "x.toml is no mapping"),
        ("x.yaml", "columns: {}", FileFormatError, r"\.toml or \.csv file, or one of cellxgene, scimilarity"),
        ("x.csv", "a,b\n", InputError, "header part,theirs,ours; found a,b"),
        ("x.csv", "part,theirs,ours\nnonsense,a,b\n", InputError, "Line 2 is no rule of a mapping: nonsense,a,b"),
        ("x.csv", "part,theirs,ours\ncolumns,a\n", InputError, "Line 2 is no rule"),
        (
            "x.csv",
            "part,theirs,ours\nvalues.disease,a,b\nvalues.disease,a,c\n",
            InputError,
            "Line 3 gives 'a' a second",
        ),
    ],
)
def test_damaged_files_are_refused(tmp_path, name, text, error, match):
    (tmp_path / name).write_text(text)
    with pytest.raises(error, match=match):
        metadata_map(tmp_path / name)
