"""A run in shards gives what one process gives, whatever stops it, and wherever its shards run."""

import itertools
import json
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.attribution.conftest import make_cells, scimilarity_look_alike, scimilarity_network, vocabulary

from insignia.attribution import AttributeOptions, PathOptions
from insignia.core import keys
from insignia.core.errors import (
    CompletenessWarning,
    FileFormatError,
    InputError,
    InsigniaError,
    InsigniaWarning,
    MissingDependency,
)
from insignia.core.executors import run_tasks
from insignia.data import read
from insignia.models.scimilarity import SCimilarityDecoder, save_scimilarity
from insignia.workflows import (
    attribute_file,
    attribute_shard,
    attribute_shards,
    create_atlas,
    estimate_attribution,
    parse_shard,
    shard_run,
)
from insignia.workflows.shard_plan import ShardPlan

N_CELLS = 101
QUIET = {"show_progress": False}


@pytest.fixture
def model():
    return scimilarity_look_alike()


@pytest.fixture
def source(tmp_path):
    cells = make_cells(N_CELLS)
    cells.obs["cell_type"] = pd.Categorical(["B", "T", "NK"] * 33 + ["B", "T"])
    cells.write_h5ad(tmp_path / "cells.h5ad")
    return tmp_path / "cells.h5ad"


@pytest.fixture
def expected(source, model, tmp_path):
    return attribute_file(source, model, tmp_path / "one.h5ad", keep_expression=False, **QUIET).to_memory()


def names(folder):
    return sorted(item.name for item in Path(folder).iterdir())


def assert_same(folder, expected):
    """The parts in a folder are, one after the other, the file that one process writes."""
    parts = [read(path) for path in sorted(folder.glob("*"))]
    joined = anndata.concat(parts)
    assert list(joined.obs_names) == list(expected.obs_names)
    for name in expected.obs:
        if name == "cell_type":
            assert list(joined.obs[name]) == list(expected.obs[name])
        else:
            np.testing.assert_allclose(joined.obs[name], expected.obs[name], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(
        joined.layers[keys.ATTRIBUTION].toarray(), expected.layers[keys.ATTRIBUTION].toarray(), rtol=1e-4, atol=1e-3
    )
    for part in parts:
        pd.testing.assert_frame_equal(part.var, expected.var)
        assert dict(part.uns[keys.ATTRIBUTION]) == dict(expected.uns[keys.ATTRIBUTION])


@given(st.integers(1, 5000), st.data())
def test_shards_cover_each_row_exactly_once(n_cells, data):
    n_shards = data.draw(st.integers(1, min(n_cells, 200)))
    plan = ShardPlan(n_cells, n_shards, {})
    bounds = [plan.bounds(shard) for shard in range(1, n_shards + 1)]
    assert (bounds[0][0], bounds[-1][1]) == (0, n_cells)
    assert all(one[1] == other[0] for one, other in itertools.pairwise(bounds))
    sizes = {stop - start for start, stop in bounds}
    assert min(sizes) >= 1
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("n_shards", [1, 4, 12])
def test_parts_add_up_to_what_one_process_writes(source, model, expected, tmp_path, n_shards):
    report = attribute_shards(source, model, tmp_path / "parts", n_shards=n_shards, **QUIET)
    assert (report.n_cells, report.n_shards, report.kept) == (N_CELLS, n_shards, ())
    assert report.written == tuple(range(1, n_shards + 1))
    assert report.median_gap == pytest.approx(expected.obs[keys.gap()].median(), rel=1e-3)
    assert names(tmp_path / "parts") == [f"part-{k:05d}-of-{n_shards:05d}.h5ad" for k in report.written]
    assert_same(tmp_path / "parts", expected)


def test_shards_one_by_one_in_any_order_and_the_atlas_takes_the_folder(source, model, expected, tmp_path):
    parts = tmp_path / "parts"
    for shard in (3, 1, 2):
        made = attribute_shard(source, model, parts, shard=shard, n_shards=3, **QUIET)
        assert (made.shard, made.is_new, made.path.exists()) == (shard, True, True)
    assert not attribute_shard(source, model, parts, shard=2, n_shards=3, **QUIET).is_new
    assert_same(parts, expected)
    constants = {"study": "a", "sample": "s", "disease": "normal", "tissue": "blood", "cell_type": "B"}
    atlas = create_atlas(tmp_path / "atlas", model)
    assert atlas.add(parts, constants=constants, progress=False).cells == N_CELLS


def test_a_shard_takes_the_file_for_what_it_is_as_a_whole(model, tmp_path):
    cells = make_cells(40)
    cells.X = np.log1p(cells.X.toarray())
    cells.X[:20] = np.rint(cells.X[:20])
    cells.write_h5ad(tmp_path / "cells.h5ad")
    attribute_shard(tmp_path / "cells.h5ad", model, tmp_path / "parts", shard=1, n_shards=2, **QUIET)
    part = read(tmp_path / "parts" / "part-00001-of-00002.h5ad")
    assert part.uns[keys.ATTRIBUTION]["input_space"] == "log1p"


def test_an_interrupted_run_goes_on_where_it_stopped(source, model, expected, tmp_path, monkeypatch):
    parts, calls = tmp_path / "parts", []

    def interrupted(runner, var, path, **options):
        calls.append(path.name)
        if len(calls) == 3:
            path.write_bytes(b"half")
            raise KeyboardInterrupt
        return write_part(runner, var, path, **options)

    write_part = shard_run.write_part
    monkeypatch.setattr(shard_run, "write_part", interrupted)
    with pytest.raises(KeyboardInterrupt):
        attribute_shards(source, model, parts, n_shards=5, **QUIET)
    assert [item for item in names(parts) if item.endswith("h5ad")] == [f"part-{k:05d}-of-00005.h5ad" for k in (1, 2)]
    before = (parts / "part-00001-of-00005.h5ad").stat().st_mtime_ns
    # what a process that was killed outright leaves
    (parts / ".unfinished" / "left").mkdir(parents=True, exist_ok=True)
    (parts / ".unfinished" / "left" / "part-00003-of-00005.h5ad").write_bytes(b"half")
    report = attribute_shards(source, model, parts, n_shards=5, **QUIET)
    assert (report.kept, report.written) == ((1, 2), (3, 4, 5))
    assert (parts / "part-00001-of-00005.h5ad").stat().st_mtime_ns == before
    assert ".unfinished" not in names(parts)
    assert_same(parts, expected)


@pytest.mark.parametrize("damage", ["cut", "empty", "short"])
def test_a_damaged_part_is_made_again(source, model, expected, tmp_path, damage):
    import h5py

    parts = tmp_path / "parts"
    attribute_shards(source, model, parts, n_shards=3, **QUIET)
    victim = parts / "part-00002-of-00003.h5ad"
    if damage == "short":
        with h5py.File(victim, "r+") as file:
            values = file[f"layers/{keys.ATTRIBUTION}/data"]
            values.resize((len(values) - 5,))
    else:
        victim.write_bytes(victim.read_bytes()[: 2000 if damage == "cut" else 0])
    with pytest.warns(InsigniaWarning, match=r"part-00002-of-00003\.h5ad is damaged .* made again"):
        report = attribute_shards(source, model, parts, n_shards=3, **QUIET)
    assert (report.kept, report.written) == ((1, 3), (2,))
    assert_same(parts, expected)


OTHER_RUNS = {
    "record.n_steps": {"options": AttributeOptions(path=PathOptions(n_steps=20))},
    "record.target": {"options": AttributeOptions(target="self_raw")},
    "record.baseline": {"options": AttributeOptions(baseline=np.ones(60))},
    "read.layer": {"layer": "copy"},
    "record.fingerprint": {"model": scimilarity_look_alike((20, 16))},
}


@pytest.mark.parametrize("fact", OTHER_RUNS)
def test_a_part_of_another_run_is_refused_by_name(model, tmp_path, fact):
    cells = make_cells(20)
    cells.layers["copy"] = cells.X.copy()
    cells.write_h5ad(tmp_path / "cells.h5ad")
    source, parts = tmp_path / "cells.h5ad", tmp_path / "parts"
    attribute_shard(source, model, parts, shard=2, n_shards=3, **QUIET)
    other = {"model": model, **OTHER_RUNS[fact], **QUIET}
    before = names(parts)
    match = rf"part-00002-of-00003\.h5ad in .* is of another run: it differs in .*{fact}"
    with pytest.raises(InputError, match=match):
        attribute_shard(source, folder=parts, shard=1, n_shards=3, **other)
    with pytest.raises(InputError, match=match):
        attribute_shards(source, folder=parts, n_shards=3, **other)
    assert names(parts) == before


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        (lambda path: make_cells(N_CELLS, seed=9).write_h5ad(path), "source.bytes"),
        (lambda path: os.utime(path, (1, 1)), "source.modified"),
    ],
)
def test_parts_of_a_file_that_changed_are_refused(source, model, tmp_path, change, fact):
    attribute_shard(source, model, tmp_path / "parts", shard=1, n_shards=3, **QUIET)
    change(source)
    with pytest.raises(InputError, match=rf"part-00001-of-00003\.h5ad .* differs in .*{fact}"):
        attribute_shards(source, model, tmp_path / "parts", n_shards=3, **QUIET)


def test_files_that_an_atlas_would_count_too_are_refused(source, model, expected, tmp_path):
    parts = tmp_path / "parts"
    attribute_shard(source, model, parts, shard=1, n_shards=3, **QUIET)
    with pytest.raises(InputError, match=r"part-00001-of-00003\.h5ad in .* is no part of this run of 4 shards"):
        attribute_shards(source, model, parts, n_shards=4, **QUIET)
    shutil.copy(tmp_path / "one.h5ad", parts / "part-00002-of-00003.h5ad")
    with pytest.raises(InputError, match=r"part-00002-of-00003\.h5ad .*it names no plan"):
        attribute_shards(source, model, parts, n_shards=3, **QUIET)
    with pytest.raises(InputError, match=r"cells\.h5ad in .* is no part"):
        attribute_shards(source, model, source.parent, n_shards=3, **QUIET)
    shutil.copy(parts / "part-00001-of-00003.h5ad", parts / "part-00002-of-00003.h5ad")
    with pytest.raises(InputError, match=r"part-00002-of-00003\.h5ad .* differs in its number, 1"):
        attribute_shards(source, model, parts, n_shards=3, **QUIET)


def test_what_cannot_be_done_in_shards_is_refused(source, model, tmp_path):
    def refused(match, error=InputError, *, at=source, folder=tmp_path / "parts", n_shards=3, **options):
        with pytest.raises(error, match=match):
            attribute_shards(at, model, folder, n_shards=n_shards, **options, **QUIET)
        assert not (tmp_path / "parts").exists()

    refused("from 1 to 101 shards", n_shards=102)
    refused("from 1 to 101 shards", n_shards=0)
    refused("Shards are rows of one h5ad file", FileFormatError, at=tmp_path / "cells.zarr")
    refused("Name a folder", folder=tmp_path / "parts.h5ad")
    refused("Shards share one baseline", options=AttributeOptions(baseline=np.ones((N_CELLS, 60))))
    refused("give its directory", executor=2)
    with pytest.raises(InputError, match="Shards count from 1 to 3"):
        attribute_shard(source, model, tmp_path / "parts", shard=4, n_shards=3)


@pytest.mark.parametrize("text", ["", "3", "0/4", "5/4", "a/b", "1/0", "-1/4", "1/4/5", "1.0/4"])
def test_shards_are_numbered_from_one(text):
    assert parse_shard("3/40") == (3, 40)
    with pytest.raises(InputError, match="A shard is I/N"):
        parse_shard(text)


def test_the_estimate_writes_nothing_and_tells_the_size(model, tmp_path):
    cells = make_cells(3000)
    cells.write_h5ad(tmp_path / "cells.h5ad")
    before = names(tmp_path)
    found = estimate_attribution(tmp_path / "cells.h5ad", model, n_shards=2)
    assert names(tmp_path) == before
    assert (found.cells, found.shards) == (3000, 2)
    assert found.hours_per_shard == found.hours / 2
    began = time.perf_counter()
    attribute_shards(tmp_path / "cells.h5ad", model, tmp_path / "parts", n_shards=2, **QUIET)
    hours = (time.perf_counter() - began) / 3600
    # loose: other work shares the processor, and blocks of 64 cells are less efficient than blocks of 256
    assert hours / 30 < found.hours < hours * 30
    size = sum(item.stat().st_size for item in (tmp_path / "parts").iterdir()) / 1e9
    assert found.disk_gb == pytest.approx(size, rel=0.35)
    whole = estimate_attribution(tmp_path / "cells.h5ad", model, keep_expression=True)
    assert whole.disk_gb > found.disk_gb
    with pytest.raises(InputError, match="from 1 to 3,000 shards"):
        estimate_attribution(tmp_path / "cells.h5ad", model, n_shards=3001)


def save(folder, network):
    save_scimilarity(
        folder,
        genes=vocabulary(),
        encoder=network,
        decoder=SCimilarityDecoder(60, (8,), 12),
        labels=["B", "T"],
        hyperparameters={},
        metadata={},
    )
    return folder


@pytest.fixture
def saved(tmp_path):
    """The model that `expected` was made with, in a directory."""
    return save(tmp_path / "scimilarity", scimilarity_network((32, 24, 16)))


def test_processes_of_this_machine_do_the_same_and_warnings_come_back(source, saved, tmp_path):
    rough = AttributeOptions(path=PathOptions(n_steps=1))
    warned = pytest.warns(CompletenessWarning, match="of 101 cells are off by more than 5")
    with warned:
        whole = attribute_file(source, saved, tmp_path / "one.h5ad", options=rough, keep_expression=False, **QUIET)
    with warned:
        report = attribute_shards(source, saved, tmp_path / "parts", n_shards=3, executor=2, options=rough, **QUIET)
    assert report.written == (1, 2, 3)
    assert_same(tmp_path / "parts", whole.to_memory())


def test_a_process_that_dies_is_told_and_ends_the_run():
    with pytest.raises(InsigniaError, match=r"A process died.* What is finished is kept"):
        list(run_tasks(os._exit, [1, 2], executor=2))


def test_a_model_that_changes_while_shards_run_is_refused(source, saved, tmp_path):
    run = shard_run.ShardRun(source, saved, tmp_path / "parts", 3, None, None, None, None, None)
    plan = run.open().plan.text
    assert shard_run.work(run, plan, 1).is_new
    assert not shard_run.work(run, plan, 1).is_new
    elsewhere = shard_run.ShardRun(
        source, saved.rename(tmp_path / "m"), tmp_path / "parts", 3, None, None, None, None, None
    )
    assert not shard_run.work(elsewhere, plan, 1).is_new
    (tmp_path / "m").rename(saved)
    shutil.rmtree(saved)
    save(saved, scimilarity_network((8,)))
    with pytest.raises(InputError, match=r"record\.fingerprint differ\. Has the file or the model changed"):
        shard_run.work(run, plan, 2)
    assert names(tmp_path / "parts") == [".unfinished", "part-00001-of-00003.h5ad"]


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed")
    dask = pytest.importorskip("dask")
    with (
        dask.config.set({"distributed.worker.daemon": True}),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            local_directory=str(tmp_path / "scratch"),
            silence_logs=60,
        ) as made,
    ):
        yield made


def stall_in_shard_three(note):
    """In a worker: in the middle of the third shard's file, say who it is and wait to be killed."""
    from insignia.workflows import shard_run

    write_part = shard_run.write_part

    def stalling(runner, var, path, **options):
        if path.name.startswith("part-00003") and not Path(note).exists():
            path.write_bytes(b"half")
            Path(note).with_suffix(".new").write_text(json.dumps({"pid": os.getpid()}))
            Path(note).with_suffix(".new").replace(note)
            time.sleep(120)
        return write_part(runner, var, path, **options)

    shard_run.write_part = stalling


def kill_when_noted(note, parts, seen):
    for _ in range(1000):
        if note.exists():
            seen.extend(names(parts))
            os.kill(json.loads(note.read_text())["pid"], signal.SIGKILL)
            return
        time.sleep(0.05)


def test_a_worker_killed_in_the_middle_loses_and_doubles_nothing(source, saved, expected, cluster, tmp_path):
    import distributed

    note, parts, seen = tmp_path / "note.json", tmp_path / "parts", []
    with distributed.Client(cluster) as client:
        client.run(stall_in_shard_three, str(note))
        killer = threading.Thread(target=kill_when_noted, args=(note, parts, seen))
        killer.start()
        report = attribute_shards(source, saved, parts, n_shards=8, executor=client, **QUIET)
        killer.join()
    killed = json.loads(note.read_text())["pid"]
    assert not Path(f"/proc/{killed}").exists()
    assert ".unfinished" in seen
    assert "part-00003-of-00008.h5ad" not in seen
    assert report.written == tuple(range(1, 9))
    assert names(parts) == [f"part-{k:05d}-of-00008.h5ad" for k in range(1, 9)]
    assert_same(parts, expected)


def test_an_address_is_enough_and_only_what_is_missing_is_done(source, saved, expected, cluster, tmp_path):
    parts = tmp_path / "parts"
    attribute_shard(source, saved, parts, shard=2, n_shards=3, **QUIET)
    report = attribute_shards(source, saved, parts, n_shards=3, executor=cluster.scheduler_address, **QUIET)
    assert (report.kept, report.written) == ((2,), (1, 3))
    assert_same(parts, expected)
    again = attribute_shards(source, saved, parts, n_shards=3, executor=cluster.scheduler_address, **QUIET)
    assert again.written == ()


def test_no_scheduler_and_no_dask_are_told(source, saved, tmp_path, monkeypatch):
    monkeypatch.setattr("insignia.core.executors._CONNECT", "1s")
    with pytest.raises(InputError, match=r"No dask scheduler answers at 'tcp://127\.0\.0\.1:1'"):
        attribute_shards(source, saved, tmp_path / "parts", n_shards=2, executor="tcp://127.0.0.1:1", **QUIET)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingDependency, match=r"pip install 'insignia\[cluster\]'"):
        attribute_shards(source, saved, tmp_path / "parts", n_shards=2, executor="tcp://127.0.0.1:1", **QUIET)


@pytest.mark.parametrize("executor", [0, True, 1.5, None])
def test_executors_that_are_none_are_refused(executor):
    with pytest.raises(InputError, match="executor takes a number of processes"):
        run_tasks(abs, [1], executor=executor)
