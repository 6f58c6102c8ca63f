"""Adding and searching on workers gives what one process gives: files to the byte, scores to the bit."""

import hashlib

import numpy as np
import pytest
from benchmarks.attack.atlas_cells import GENES, RECORD, cells

from insignia.atlas import Atlas
from insignia.core.errors import AtlasDamaged, DuplicateStudy, InputError
from insignia.data import write_h5ad

distributed = pytest.importorskip("distributed", reason="the extra 'cluster' is not installed")

WEIGHTS = {"GENE3": 1.0, "GENE8": -0.5, "GENE17": 2.0}


def make_cluster(n_workers, **options):
    """Workers in threads of this process."""
    return distributed.LocalCluster(
        n_workers=n_workers,
        threads_per_worker=1,
        processes=False,
        dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"dashboard": False},
        silence_logs=60,
        **options,
    )


@pytest.fixture(scope="module")
def client():
    """Two workers."""
    with make_cluster(2) as cluster, distributed.Client(cluster, set_as_default=False) as client:
        yield client


@pytest.fixture
def sources(tmp_path):
    """A file, and cells in memory of which one study is cut over two sources."""
    write_h5ad(cells("S1", 30), tmp_path / "s1.h5ad")
    other = cells("S2", 25, genes=[30, 3, 5, 8, 17])
    things = [tmp_path / "s1.h5ad", other[7:].copy(), cells("S3", 9), other[:7].copy()]
    for thing in things[1:]:
        thing.obsm["X"] = np.arange(thing.n_obs * 3, dtype=np.float32).reshape(-1, 3)
    return things


def digests(atlas):
    files = {path for path in atlas.path.rglob("*") if path.is_file()}
    return {str(path.relative_to(atlas.path)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def make(path, sources, **options):
    atlas = Atlas.create(path, genes=GENES, record=RECORD)
    atlas.add(sources, max_cells_per_segment=20, **options)
    return atlas


@pytest.mark.parametrize("encoding", ["fast", "compact"])
def test_workers_write_the_same_bytes(tmp_path, client, sources, encoding):
    options = {"encoding": encoding}
    here, there = make(tmp_path / "a", sources, **options), make(tmp_path / "b", sources, executor=client, **options)
    assert digests(here) == digests(there)
    assert here.info()["segments"] == 4


def test_workers_keep_embeddings(tmp_path, client, sources):
    here = make(tmp_path / "a", sources[1:], embedding="X")
    there = make(tmp_path / "b", sources[1:], embedding="X", executor=client)
    assert digests(here) == digests(there)
    np.testing.assert_array_equal(here.embedding(), there.embedding())


@pytest.mark.parametrize("where", [None, "cell_type = 'monocyte'", "study = 'S3'"])
def test_workers_find_the_same_scores(tmp_path, client, sources, where):
    atlas = make(tmp_path / "a", sources)
    here = atlas.search(WEIGHTS, where=where, agg="sum", min_coverage=0.3)
    there = atlas.search(WEIGHTS, where=where, agg="sum", min_coverage=0.3, executor=client)
    np.testing.assert_array_equal(here.scores, there.scores, strict=True)
    assert here.studies == there.studies


def test_an_address_is_as_good_as_a_client(tmp_path, client, sources):
    atlas = make(tmp_path / "a", sources)
    with make_cluster(1, protocol="tcp", host="127.0.0.1") as cluster:
        there = atlas.search(WEIGHTS, executor=cluster.scheduler_address)
    np.testing.assert_array_equal(atlas.search(WEIGHTS).scores, there.scores)


@pytest.mark.full
def test_processes_of_this_machine(tmp_path, sources):
    here, there = make(tmp_path / "a", sources), make(tmp_path / "b", sources, executor=2)
    assert digests(here) == digests(there)
    np.testing.assert_array_equal(here.search(WEIGHTS).scores, there.search(WEIGHTS, executor=2).scores)


def test_what_a_worker_stumbles_over_is_told_and_the_atlas_stays(tmp_path, client, sources):
    atlas = make(tmp_path / "a", sources, executor=client)
    before = digests(atlas)
    with pytest.raises(DuplicateStudy, match="S3"):
        atlas.add(cells("S3", 9), executor=client)
    bad = cells("S7", 9)
    bad.layers["attribution"].data[5] = np.nan
    with pytest.raises(InputError, match="NaN or infinite"):
        atlas.add([cells("S6", 9), bad], max_cells_per_segment=9, executor=client)
    assert digests(atlas) == before
    with pytest.raises(InputError, match="executor takes a number of processes"):
        atlas.search(WEIGHTS, executor=0)
    offsets = sorted(atlas.path.glob("segments/*/offsets.npy"))[1]
    offsets.write_bytes(offsets.read_bytes()[:-8])
    with pytest.raises(AtlasDamaged, match=r"offsets\.npy"):
        Atlas.open(atlas.path).search(WEIGHTS, executor=client)
