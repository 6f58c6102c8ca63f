"""Atlases whose hashes fit and whose content does not."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from benchmarks.attack.atlas_cells import cells, make_atlas
from benchmarks.attack.inputs.atlases import _name_hash, _rewrite, _seal

from insignia.atlas import Atlas
from insignia.core import keys
from insignia.core.errors import AtlasDamaged, InputError
from insignia.core.files import sha256_file, sha256_text

WEIGHTS = {"GENE1": 1.0}


@pytest.fixture
def path(tmp_path):
    return make_atlas(tmp_path / "atlas", cells("S1", 12), cells("S2", 8)).path


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.select(["id"]),
        lambda table: table.set_column(0, "symbol", pa.array([["a"]] * table.num_rows)),
        lambda table: table.append_column("symbol", table.column(0)),
    ],
)
def test_genes_without_names_are_damage(path, change):
    file = path / "genes.parquet"
    pq.write_table(change(pq.read_table(file)), file)
    content = json.loads((path / "atlas.json").read_text())
    content["genes"]["sha256"] = sha256_file(file)
    _seal(path, json.dumps(content))
    with pytest.raises(AtlasDamaged, match=r"genes\.parquet is damaged"):
        Atlas.open(path).search(WEIGHTS)


@pytest.mark.parametrize("what", ["numbers", "lists", "a column twice", "no study"])
def test_metadata_of_other_kinds_are_damage(path, what):
    def write(file):
        table = pq.read_table(file)
        place = table.column_names.index("study")
        if what == "a column twice":
            table = table.append_column("study", table.column(place))
        elif what == "no study":
            table = table.drop_columns(["study"])
        else:
            values = range(table.num_rows) if what == "numbers" else [[1]] * table.num_rows
            table = table.set_column(place, "study", pa.array(list(values)))
        pq.write_table(table, file)

    _rewrite(path, "obs.parquet", write)
    with pytest.raises(AtlasDamaged, match=r"obs\.parquet is damaged: it"):
        Atlas.open(path).search(WEIGHTS, where="tissue = 'blood'").obs  # noqa: B018
    with pytest.raises(AtlasDamaged, match=r"obs\.parquet is damaged: it"):
        Atlas.open(path).compact()


def test_a_study_that_only_a_segment_knows_is_damage(path):
    text = (path / "atlas.json").read_text()
    _seal(path, text.replace('"S2"', '"S3"'))
    with pytest.raises(AtlasDamaged, match=r"holds cells of a study 'S2' that the manifest does not name"):
        Atlas.open(path).compact()


def test_names_of_segments_are_one_line(path):
    content = json.loads((path / "atlas.json").read_text())
    old = json.dumps(content["segments"][0]["id"])
    _seal(path, json.dumps(content).replace(old, json.dumps("line\nbreak")))
    with pytest.raises(AtlasDamaged, match=r"is not the name of a folder"):
        Atlas.open(path)


def test_a_header_without_end_is_damage(path):
    name = json.loads((path / "atlas.json").read_text())["segments"][0]["id"]
    text = '{"a":' * 50_000 + "1" + "}" * 50_000
    (path / "segments" / name / "segment.json").write_text(text)
    _name_hash(path, 0, sha256_text(text))
    with pytest.raises(AtlasDamaged, match=r"segment\.json cannot be read"):
        Atlas.open(path).search(WEIGHTS)


def test_gaps_that_are_no_numbers_are_refused(path):
    more = cells("S3", 4)
    more.obs[keys.gap()] = pd.Series(["a", "b", "c", "d"], index=more.obs_names)
    with pytest.raises(InputError, match=r"attribution_gap.* must hold numbers"):
        Atlas.open(path).add(more)
    assert np.isfinite(Atlas.open(path).search(WEIGHTS, min_coverage=0).scores).all()
