"""The format as `docs/FORMAT.md` states it: its reader works, its hashes hold, damage is noticed."""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from benchmarks.attack.atlas_cells import GENES, N_GENES, RECORD, cells, dense, make_atlas

from insignia.atlas import Atlas
from insignia.core.errors import AtlasDamaged, AtlasError
from insignia.core.files import sha256_file
from insignia.data import write_h5ad

DOCUMENT = Path(__file__).parents[2] / "docs" / "FORMAT.md"


@pytest.fixture
def studies():
    return [cells("S1", 30), cells("S2", 25, genes=[30, 3, 5, 8]), cells("Été", 5)]


@pytest.fixture
def atlas(tmp_path, studies):
    return make_atlas(tmp_path / "atlas", studies[:2], studies[2:], max_cells_per_segment=40)


def only_segment(atlas, number=0):
    return sorted((atlas.path / "segments").iterdir())[number]


def rewrite(path, change):
    """Change a JSON file, as a well-meaning hand would."""
    content = json.loads(path.read_text("utf-8"))
    change(content)
    path.write_text(json.dumps(content), "utf-8")


def resign(atlas):
    """Make every hash right again, so that only the content itself can be found wrong."""
    path = atlas.path / "atlas.json"
    content = json.loads(path.read_text("utf-8"))
    for entry in content["segments"]:
        header = atlas.path / "segments" / entry["id"] / "segment.json"
        if header.exists():
            entry["sha256"] = sha256_file(header)
    content.pop("sha256")
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    content["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    path.write_text(json.dumps(content, ensure_ascii=False), "utf-8")


def test_the_reader_in_the_document_reads_an_atlas(atlas, studies):
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    assert "insignia" not in code
    scope = {}
    exec(code, scope)
    for gene in (3, 8, 17):
        tables, columns = zip(*scope["read_gene"](atlas.path, f"GENE{gene}"), strict=True)
        got = np.concatenate(columns)
        values, measured = (np.concatenate(parts) for parts in zip(*map(dense, studies), strict=True))
        want = np.where(measured[:, gene], values[:, gene], np.nan)
        np.testing.assert_allclose(got, want, rtol=1e-3)
        barcodes = [name for table in tables for name in table["barcode"].to_pylist()]
        assert barcodes == [name for adata in studies for name in adata.obs_names]


def test_the_document_names_every_file_and_entry(atlas):
    text = DOCUMENT.read_text("utf-8")
    manifest = json.loads((atlas.path / "atlas.json").read_text("utf-8"))
    header = json.loads((only_segment(atlas) / "segment.json").read_text("utf-8"))
    names = {path.name for path in atlas.path.rglob("*") if path.is_file() and path.parent.name != "versions"}
    names |= {*manifest, *manifest["record"], *manifest["genes"], *manifest["segments"][0], *header}
    names |= {*header["ranges"][0], *header["files"], *pq.read_schema(only_segment(atlas) / "obs.parquet").names}
    assert [name for name in sorted(names) if name not in text] == []


def test_every_hash_holds(atlas):
    manifest = json.loads((atlas.path / "atlas.json").read_text("utf-8"))
    assert manifest["genes"]["sha256"] == sha256_file(atlas.path / "genes.parquet")
    for entry in manifest["segments"]:
        folder = atlas.path / "segments" / entry["id"]
        assert entry["sha256"] == sha256_file(folder / "segment.json")
        files = json.loads((folder / "segment.json").read_text("utf-8"))["files"]
        assert sorted([*files, "segment.json"]) == sorted(path.name for path in folder.iterdir())
        for name, about in files.items():
            assert about == {"bytes": (folder / name).stat().st_size, "sha256": sha256_file(folder / name)}
        assert entry["bytes"] == sum(path.stat().st_size for path in folder.iterdir())


def test_cells_ascend_and_offsets_fit(tmp_path):
    adata = cells("S1", 50)
    other = cells("S2", 50)
    mixed = [adata[25:], other[:25], adata[:25], other[25:]]
    folder = only_segment(make_atlas(tmp_path / "a", mixed))
    numbers, offsets = np.load(folder / "cells.npy"), np.load(folder / "offsets.npy")
    assert offsets.shape == (N_GENES, 2)
    assert offsets[0, 0] == 0
    assert offsets[-1, -1] == numbers.size
    np.testing.assert_array_equal(offsets[:-1, -1], offsets[1:, 0])
    assert all((np.diff(numbers[a:b].astype(int)) > 0).all() for a, b in offsets)


def test_halves_are_those_of_numpy_and_nothing_becomes_zero(tmp_path):
    sizes = np.concatenate([np.geomspace(1e-12, 1e-4, 400), np.geomspace(1e-4, 100, 400)])
    values = np.zeros((800, N_GENES), dtype=np.float32)
    values[:, 7] = sizes * np.where(np.arange(800) % 2, 1, -1)
    record = type(RECORD)(**{**RECORD.to_dict(), "sign": "signed", "scale": 0.0})
    atlas = Atlas.create(tmp_path / "a", genes=GENES, record=record)
    atlas.add(cells("S1", 800, values=values, record=record))
    stored = np.load(only_segment(atlas) / "values.npy")
    want = values[:, 7].astype(np.float16)
    want[want == 0] = np.copysign(np.float16(6e-8), values[:, 7][want == 0])
    np.testing.assert_array_equal(stored.view(np.uint16), want.view(np.uint16))


def test_identical_runs_write_identical_bytes(tmp_path, studies):
    files = []
    for name in ("a", "b"):
        path = make_atlas(tmp_path / name, studies).path
        files.append({str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()})
    assert files[0] == files[1]


def test_unknown_entries_are_ignored(atlas):
    rewrite(atlas.path / "atlas.json", lambda content: content.update(format_version="1.7", novelty=[1]))
    resign(atlas)
    (only_segment(atlas) / "groups").mkdir()
    assert len(Atlas.open(atlas.path).search(["GENE3"])) == 60


def test_another_major_version_is_refused(atlas):
    rewrite(atlas.path / "atlas.json", lambda content: content.update(format_version="2.0"))
    with pytest.raises(AtlasError, match=r"format version 2.0; this insignia reads 1.x"):
        Atlas.open(atlas.path)


def test_no_atlas(tmp_path):
    with pytest.raises(AtlasError, match=r"There is nothing at .*atlass\. Check the path"):
        Atlas.open(tmp_path / "atlass")
    with pytest.raises(AtlasError, match=r"not an atlas: it has no atlas.json"):
        Atlas.open(tmp_path)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda content: content.update(format="zip"), "'format' is not 'insignia-atlas'"),
        (lambda content: content["segments"][0].update(cells=31), "its content has sha256"),
    ],
)
def test_a_manifest_changed_by_hand_is_damaged(atlas, change, match):
    rewrite(atlas.path / "atlas.json", change)
    with pytest.raises(AtlasDamaged, match=match):
        Atlas.open(atlas.path)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda content: content.pop("studies"), "KeyError\\('studies'\\)"),
        (lambda content: content["record"].pop("model"), "lacks model"),
        (lambda content: content["segments"][0].update(id="../../etc"), "not the name of a folder"),
        (lambda content: content["segments"][0].update(values="many"), "values is 'many'"),
        (lambda content: content["segments"][0].update(cells=-4), "cells is -4"),
        (lambda content: content.update(segments=7), "another kind"),
    ],
)
def test_a_manifest_that_is_signed_and_wrong_is_damaged(atlas, change, match):
    rewrite(atlas.path / "atlas.json", change)
    resign(atlas) if isinstance(json.loads((atlas.path / "atlas.json").read_text())["segments"], list) else sign_only(
        atlas
    )
    with pytest.raises(AtlasDamaged, match=match):
        Atlas.open(atlas.path)


def sign_only(atlas):
    path = atlas.path / "atlas.json"
    content = json.loads(path.read_text("utf-8"))
    content.pop("sha256")
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    path.write_text(json.dumps({**content, "sha256": hashlib.sha256(text.encode()).hexdigest()}), "utf-8")


def test_text_that_is_not_json(atlas):
    (atlas.path / "atlas.json").write_text('{"format": "insig')
    with pytest.raises(AtlasDamaged, match="it is not JSON"):
        Atlas.open(atlas.path)


def truncate(path):
    with path.open("rb+") as file:
        file.truncate(path.stat().st_size - 8)


def reload_with(path, array):
    np.save(path, array)


@pytest.mark.parametrize(
    ("name", "damage", "match"),
    [
        ("cells.npy", truncate, "cells.npy cannot be read"),
        ("values.npy", truncate, "values.npy cannot be read"),
        ("values.npy", Path.unlink, "values.npy cannot be read"),
        ("offsets.npy", lambda path: path.write_bytes(b""), "offsets.npy cannot be read"),
        ("cells.npy", lambda path: reload_with(path, np.zeros(3, np.uint16)), r"cells.npy holds uint16 \(3,\) where"),
        ("values.npy", lambda path: reload_with(path, np.load(path).astype(np.float32)), "values.npy holds float32"),
        ("offsets.npy", lambda path: reload_with(path, np.load(path) * 0), "offsets.npy ends at 0 of"),
        ("measured.npy", lambda path: reload_with(path, np.load(path)[:, 1:]), "measured.npy holds bool"),
        ("segment.json", lambda path: path.write_text("{}"), "sha256 differs"),
        ("segment.json", Path.unlink, "segment.json cannot be read"),
        ("obs.parquet", truncate, "obs.parquet is damaged"),
        ("../../genes.parquet", truncate, "genes.parquet is damaged"),
    ],
)
def test_damaged_files_are_named(atlas, name, damage, match):
    damage((only_segment(atlas) / name).resolve())
    opened = Atlas.open(atlas.path)
    with pytest.raises(AtlasDamaged, match=match):
        opened.search(["GENE3"]).obs  # noqa: B018


@pytest.mark.parametrize("value", [-5, 10**12])
def test_offsets_that_point_outside_are_found_before_reading(atlas, value):
    path = only_segment(atlas) / "offsets.npy"
    offsets = np.load(path)
    offsets[3, 0] = value
    np.save(path, offsets)
    for ask in (Atlas.open(atlas.path).search, Atlas.open(atlas.path).gene_matrix):
        with pytest.raises(AtlasDamaged, match="points outside the values"):
            ask(["GENE3"])


def test_a_cell_number_beyond_the_last_cell_crashes_nothing(atlas):
    path = only_segment(atlas) / "cells.npy"
    np.save(path, np.full_like(np.load(path), 65_535))
    assert np.isfinite(Atlas.open(atlas.path).search(["GENE3"]).scores).all()
    with pytest.raises(AtlasDamaged, match="beyond the last one"):
        Atlas.open(atlas.path).gene_matrix(["GENE3"])


@pytest.mark.parametrize(
    "ranges", [[], [{"study": "S1"}], [{"study": "S1", "panel": 0, "start": 0, "stop": 7}], "none"]
)
def test_ranges_that_do_not_cover_the_cells(atlas, ranges):
    rewrite(only_segment(atlas) / "segment.json", lambda content: content.update(ranges=ranges))
    resign(atlas)
    with pytest.raises(AtlasDamaged, match="ranges"):
        Atlas.open(atlas.path).search(["GENE3"])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of file descriptors are set as on Linux")
def test_many_segments_and_files_need_few_file_descriptors(tmp_path):
    path = make_atlas(tmp_path / "a", cells("many", 45), max_cells_per_segment=1).path
    (tmp_path / "parts").mkdir()
    for number in range(14):
        write_h5ad(cells(f"S{number}", 2), tmp_path / "parts" / f"{number}.h5ad")
    code = (
        "import os, resource, numba, duckdb\n"
        "from insignia.atlas import Atlas, add\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))\n"
        f"atlas = Atlas.open({str(path)!r})\n"
        "print(len(atlas.search(['GENE3']).scores), len(atlas.obs()), atlas.gene_matrix(['GENE3'])[0].shape[0])\n"
        "few = len(os.listdir('/proc/self/fd')) + 9\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (few, few))\n"
        f"print(atlas.add({str(tmp_path / 'parts')!r}).cells)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["45", "45", "45", "28"], done.stderr


def test_a_place_whose_name_is_no_text_is_refused(tmp_path):
    """Parquet would fail half way, in words of its own."""
    path = tmp_path / os.fsdecode(b"caf\xe9")
    with pytest.raises(AtlasError, match="UTF-8 text"):
        Atlas.create(path, genes=GENES, record=RECORD)
    with pytest.raises(AtlasError, match="UTF-8 text"):
        Atlas.open(path)
    assert not list(tmp_path.iterdir())
