"""The compact encoding: exact cells, values within 1/64, the same answers from every reader, in two bytes."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmarks.attack.atlas_cells import GENES, N_GENES, RECORD, cells, dense, make_atlas, scaled
from hypothesis import given, settings
from hypothesis import strategies as st

from insignia.atlas import Atlas
from insignia.atlas.encode import write_entries
from insignia.atlas.stored import CompactValues, FastValues
from insignia.core.errors import AtlasError, InputError
from insignia.genes import GeneVocabulary

DOCUMENT = Path(__file__).parents[2] / "docs" / "FORMAT.md"
SIGNED = replace(RECORD, sign="signed", scale=0.0)
WEIGHTS = {"GENE3": 1.0, "GENE8": -0.5, "GENE17": 2.0, "GENE30": 0.25}


def rounded(values):
    """Values with six significant bits, by arithmetic; the smallest and largest are those of the format."""
    values = np.asarray(values, dtype=np.float16).astype(np.float64)
    _, exponent = np.frexp(values)
    step = np.maximum(2.0 ** (exponent - 6.0), 2.0**-19)
    near = np.rint(np.abs(values) / step) * step
    return np.where(values == 0, 0, np.copysign(np.clip(near, 2.0**-19, 64_512), values))


@pytest.fixture
def read_gene():
    scope = {}
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    exec(code, scope)
    return scope["read_gene"], scope["read_run"]


def header_of(atlas, number=0):
    folder = sorted((atlas.path / "segments").iterdir())[number]
    return folder, json.loads((folder / "segment.json").read_text("utf-8"))


runs = st.lists(
    st.one_of(
        st.lists(st.integers(0, 65_535), max_size=40, unique=True),
        st.builds(lambda first, n: list(range(first, min(first + n, 65_536))), st.integers(0, 65_535), st.just(90)),
        st.builds(lambda step: list(range(0, 65_536, step)), st.sampled_from([31, 32, 33, 992, 1_023, 1_024, 65_535])),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(runs, st.integers(0, 2**32 - 1))
def test_round_trip_of_any_run(tmp_path_factory, wanted, seed):
    rng = np.random.default_rng(seed)
    here = [np.sort(np.array(run, dtype=np.uint16)) for run in wanted]
    numbers = np.concatenate(here)
    # every float16 but 0, the infinite and NaN
    halves = rng.integers(1, 0x7C00, numbers.size).astype(np.uint16) | (rng.integers(0, 2, numbers.size) << 15).astype(
        np.uint16
    )
    ends = np.cumsum([0, *(run.size for run in here)])
    offsets = np.stack([ends[:-1], ends[1:]], axis=1)
    folder = tmp_path_factory.mktemp("run")
    stored = write_entries(folder, numbers, halves, offsets)
    entries = np.load(folder / "entries.npy")
    got = CompactValues(entries, stored).genes(np.arange(len(here)))
    np.testing.assert_array_equal(got.cells, numbers)
    np.testing.assert_array_equal(got.offsets, offsets)
    values = got.values.view(np.float16)
    np.testing.assert_array_equal(values, rounded(halves.view(np.float16)))
    again = write_entries(tmp_path_factory.mktemp("again"), got.cells, got.values, got.offsets)
    np.testing.assert_array_equal(again, stored)

    weights = rng.normal(size=len(here)).astype(np.float32)
    sums, want = np.zeros(65_536, np.float32), np.zeros(65_536, np.float32)
    assert CompactValues(entries, stored).add_genes(0, np.arange(len(here)), weights, sums)
    assert FastValues(got.cells, got.values, got.offsets).add_genes(0, np.arange(len(here)), weights, want)
    np.testing.assert_array_equal(sums, want)


def test_genes_of_several_blocks_decode_in_any_order(tmp_path):
    rng = np.random.default_rng(3)
    counts = rng.integers(0, 30, (7, 3))
    counts[2] = 0
    numbers = np.concatenate([np.sort(rng.choice(65_536, n, replace=False)) for n in counts.ravel()]).astype(np.uint16)
    ends = np.concatenate([[0], np.cumsum(counts)])
    offsets = np.stack([ends[g * 3 : g * 3 + 4] for g in range(7)])
    halves = rng.normal(size=numbers.size).astype(np.float16).view(np.uint16)
    compact = CompactValues(np.array([0]), write_entries(tmp_path, numbers, halves, offsets))
    compact = CompactValues(np.load(tmp_path / "entries.npy"), compact.offsets)
    fast = FastValues(numbers, halves, offsets)
    for positions in (np.arange(7), np.array([2]), np.array([5, 0, 5, 6])):
        got, want = compact.genes(positions), fast.genes(positions)
        for k, block in np.ndindex(len(positions), 3):
            a, b = (slice(*runs.offsets[k, block : block + 2]) for runs in (got, want))
            np.testing.assert_array_equal(got.cells[a], want.cells[b])
            np.testing.assert_array_equal(got.values[a].view(np.float16), rounded(want.values[b].view(np.float16)))


def test_offsets_outside_are_refused_and_damage_stays_within_the_block():
    rng = np.random.default_rng(0)
    entries = rng.integers(0, 65_536, 20_000).astype(np.uint16)
    entries[:4_000] &= 31
    sums = np.zeros(65_536, np.float32)
    values = CompactValues(entries, np.array([[0, 20_000]]))
    with np.errstate(invalid="ignore"):
        assert values.add_genes(0, np.array([0]), np.ones(1, np.float32), sums)
    assert values.genes(np.array([0])).cells.size == np.count_nonzero(entries & 0x7FE0)
    for offsets in ([[0, 20_001]], [[-1, 5]], [[7, 5]]):
        wrong = CompactValues(entries, np.array(offsets))
        assert not wrong.add_genes(0, np.array([0]), np.ones(1, np.float32), sums)
        assert wrong.genes(np.array([0])) is None


def test_every_reader_gives_the_rounded_values(tmp_path, read_gene):
    studies = [cells("S1", 30), cells("S2", 25, genes=[30, 3, 5, 8]), cells("S3", 1), cells("S4", 9, density=0)]
    atlas = make_atlas(tmp_path / "a", studies, encoding="compact", max_cells_per_segment=40)
    values, measured = (np.concatenate(parts) for parts in zip(*map(dense, studies), strict=True))
    want = np.where(measured, rounded(values), np.nan)
    matrix, _, _ = atlas.gene_matrix([f"GENE{g}" for g in range(N_GENES)])
    np.testing.assert_array_equal(matrix.toarray(), want)
    for gene in (3, 8, 17):
        got = np.concatenate([column for _, column in read_gene[0](atlas.path, f"GENE{gene}")])
        np.testing.assert_array_equal(got, want[:, gene])
    positions = [int(gene.removeprefix("GENE")) for gene in WEIGHTS]
    weights = np.array(list(WEIGHTS.values()))
    scores = np.nansum(want[:, positions] * weights, axis=1)
    with pytest.warns(UserWarning, match="S2"):
        got = atlas.search(WEIGHTS, agg="sum", min_coverage=0.9).scores
    scored = ~np.isnan(got)
    assert scored.sum() == len(want) - 25
    np.testing.assert_allclose(got[scored], scores[scored], rtol=1e-5, atol=1e-5)


def test_gaps_beyond_a_block_and_signed_denormals(tmp_path):
    values = np.zeros((140_000, 2), dtype=np.float32)
    at = np.array([0, 31, 63, 65_535, 65_536, 139_999])
    values[at, 0] = [3.0, -1e-9, 6e-8, -2e-5, 60_000.0, -65_504.0]
    adata = cells("S1", len(values), genes=[5, 9], values=values, record=SIGNED)
    atlas = Atlas.create(tmp_path / "a", genes=GENES, record=SIGNED, encoding="compact")
    atlas.add(adata)
    got = atlas.gene_matrix(["GENE5", "GENE9"])[0].toarray()
    assert not got[:, 1].any()
    np.testing.assert_array_equal(np.flatnonzero(got[:, 0]), at)
    np.testing.assert_allclose(got[at, 0], [3, -(2.0**-19), 2.0**-19, -10 * 2.0**-19, 60_000, -64_512], rtol=1 / 63)
    np.testing.assert_array_equal(atlas.search({"GENE5": 1.0}, agg="sum").scores, got[:, 0])


def test_the_encoding_is_chosen_for_the_atlas_or_an_addition(tmp_path):
    atlas = make_atlas(tmp_path / "a", cells("S1", 30))
    atlas.add(cells("S2", 30), encoding="compact")
    assert [header_of(atlas, k)[1]["encoding"] for k in (0, 1)] == ["fast", "compact"]
    folder, header = header_of(atlas, 1)
    assert sorted(header["files"]) == ["entries.npy", "measured.npy", "obs.parquet", "offsets.npy"]
    assert header["entries"] == np.load(folder / "entries.npy").size >= header["values"]
    assert Atlas.open(atlas.path).info()["encoding"] == "fast"
    assert np.isfinite(atlas.search(WEIGHTS).scores).all()

    other = Atlas.create(tmp_path / "b", genes=GENES, record=RECORD, encoding="compact")
    Atlas.open(other.path).add(cells("S1", 30))
    assert header_of(other)[1]["encoding"] == "compact"
    assert Atlas.open(other.path).info()["encoding"] == "compact"


def test_an_unknown_encoding_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"encoding is one of 'fast', 'compact'; found 'tiny'"):
        Atlas.create(tmp_path / "a", genes=GENES, record=RECORD, encoding="tiny")
    atlas = make_atlas(tmp_path / "a", cells("S1", 30))
    with pytest.raises(InputError, match="found 'tiny'"):
        atlas.add(cells("S2", 30), encoding="tiny")
    assert sorted(Atlas.open(atlas.path).studies) == ["S1"]


def test_a_later_encoding_is_refused_by_name(tmp_path, monkeypatch):
    atlas = make_atlas(tmp_path / "a", cells("S1", 30), encoding="compact")
    monkeypatch.setattr("insignia.atlas.segment.VALUE_FILES", {"fast": ("cells.npy", "values.npy")})
    with pytest.raises(AtlasError, match=r"has the encoding 'compact'; this insignia reads fast"):
        atlas.search(WEIGHTS)


@pytest.mark.parametrize("sign", ["absolute", "signed"])
def test_few_hits_change_and_two_bytes_suffice(tmp_path, sign):
    """T10, with genes of very different strength; weak genes lose no more than strong ones."""
    rng = np.random.default_rng(5)
    n_cells, n_genes = 20_000, 600
    rate, strength = np.minimum(rng.lognormal(-2.0, 1.2, n_genes), 0.9), rng.lognormal(0, 1.2, n_genes)
    activity = np.exp(rng.normal(0, 0.5, (n_cells, 1)) * (np.arange(n_genes) < 60))
    values = rng.gamma(0.8, 1, (n_cells, n_genes)) * strength * activity * (rng.random((n_cells, n_genes)) < rate)
    values *= np.where(rng.random(values.shape) < 0.4, -1, 1) if sign == "signed" else 1
    values = scaled(values)
    genes = GeneVocabulary.from_names([f"GENE{i}" for i in range(n_genes)], organism="human")
    record = replace(RECORD, sign=sign, genes_sha256=genes.sha256)
    adata = cells("S1", n_cells, genes=np.arange(n_genes), values=values, record=record)
    weak, some = np.argsort(strength)[:86], rng.choice(n_genes, 30, replace=False)
    signatures = [dict.fromkeys(chosen, 1.0) for chosen in (np.arange(60), weak, some)]
    signatures.append(dict(zip(some, rng.normal(size=30), strict=True)))
    changed = {"fast": [], "compact": []}
    for encoding, shares in changed.items():
        atlas = Atlas.create(tmp_path / encoding, genes=genes, record=record, encoding=encoding)
        report = atlas.add(adata)
        for wanted in signatures:
            exact = values[:, list(wanted)].astype(np.float64) @ list(wanted.values())
            found = atlas.search({f"GENE{g}": w for g, w in wanted.items()}, agg="sum").scores
            hits, theirs = (scores > np.quantile(scores, 0.9) for scores in (exact, found))
            shares.append(np.count_nonzero(hits & ~theirs) / np.count_nonzero(hits))
    n_bytes = header_of(atlas)[1]["files"]["entries.npy"]["bytes"]
    assert n_bytes < 2.4 * report.values
    assert np.mean(changed["fast"]) < 0.0005
    assert max(changed["compact"]) < 0.02
