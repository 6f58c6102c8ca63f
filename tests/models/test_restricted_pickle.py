"""The restricted reader: plain data come back as they were, and nothing that a file names is run or imported."""

import collections
import pickle
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest
import torch

from insignia.core.errors import InsigniaError, ModelFormatError, UnsafeCheckpoint
from insignia.models.restricted_pickle import read_pickle, read_torch_archive
from insignia.models.stand_ins import StandIn, as_array, as_plain, as_tensor

ARRAYS = [
    np.array(["CD3D", "ÅB1", "C1QA"], dtype=object),
    np.array(["CD3D", "ÅB1"]),
    np.array([b"CD3D", b"MS4A1"]),
    np.array([], dtype=object),
    np.array([], dtype=np.float64),
    np.arange(6, dtype=">i4").reshape(2, 3),
    np.asfortranarray(np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)),
    np.array([True, False]),
    np.array([["a", 1], [2.5, None]], dtype=object),
]
TENSORS = [
    torch.arange(6.0).view(2, 3),
    torch.arange(6.0).view(2, 3).T,
    torch.tensor(3),
    torch.zeros(0, 4),
    torch.randn(4, 3, dtype=torch.float64)[1:, :2],
    torch.ones(3, dtype=torch.bfloat16),
    torch.tensor([True, False]),
    torch.nn.Parameter(torch.ones(2, 2)),
]


def pickled(path, value, protocol=4):
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    return read_pickle(path)


def saved(path, value):
    torch.save(value, path)
    return read_torch_archive(path)


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_arrays_come_back_as_they_were(tmp_path, array, protocol):
    found = as_array(pickled(tmp_path / "a.pkl", array, protocol))
    assert found.dtype == array.dtype
    assert found.shape == array.shape
    assert found.tolist() == array.tolist()


@pytest.mark.parametrize("tensor", TENSORS, ids=lambda tensor: f"{tensor.dtype}{tuple(tensor.shape)}")
def test_tensors_come_back_as_they_were(tmp_path, tensor):
    found = as_tensor(saved(tmp_path / "a.pt", {"x": tensor})["x"])
    assert found.dtype == tensor.dtype
    assert torch.equal(found, tensor)
    assert found.is_contiguous()


def test_numpy_scalars_and_containers_come_back_as_they_were(tmp_path):
    value = collections.OrderedDict(a=[1, (2.5, None)], b={"c": {1, 2}, "d": b"x", "e": True}, f=2**70)
    found = pickled(tmp_path / "a.pkl", value)
    assert found == dict(value)
    scalars = pickled(tmp_path / "b.pkl", [np.float32(0.5), np.int64(3), np.bool_(True), np.str_("CD3D")])
    assert [as_plain(item) for item in scalars] == [0.5, 3, True, "CD3D"]
    assert pickled(tmp_path / "c.pkl", collections.defaultdict(list, a=[1])) == {"a": [1]}


def test_other_objects_become_stand_ins_that_know_their_name(tmp_path):
    found = pickled(tmp_path / "a.pkl", {"table": pd.DataFrame({"a": [1.0]}), "n": 3})
    assert isinstance(found["table"], StandIn)
    assert found["table"].named == "pandas.core.frame.DataFrame"
    assert found["n"] == 3
    assert as_array(found["table"]) is as_plain(found["table"]) is as_tensor(found["table"]) is found["table"]


class Calls:
    """Reduces to a call."""

    def __init__(self, function, *arguments):
        self.reduced = (function, arguments)

    def __reduce__(self):
        return self.reduced


def hostile(marker):
    """Pickles that would leave a mark if anything in them ran."""
    return {
        "call": Calls(exec, f"open({str(marker)!r}, 'w').close()"),
        "import": Calls(__import__, "antigravity"),
        "open": Calls(open, str(marker), "w"),
        "nested": [{"a": (Calls(eval, f"open({str(marker)!r}, 'w')"),)}],
        "attribute": Calls(getattr, Calls(__import__, "os"), "system"),
        "item": np.array([Calls(open, str(marker), "w")], dtype=object),
    }


@pytest.mark.parametrize("kind", ["call", "import", "open", "nested", "attribute", "item"])
@pytest.mark.parametrize("read", [pickled, saved])
def test_nothing_is_run_or_imported(tmp_path, kind, read):
    marker = tmp_path / "mark"
    read(tmp_path / "a", hostile(marker)[kind])
    assert not marker.exists()
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize(
    "stream",
    [
        b"cos\nsystem\n(S'touch mark'\ntR.",
        b"(ios\nsystem\n.",
        b"\x80\x02\x82\x01.",
        b"\x80\x02K\x01r\xff\xff\xff\x7f.",
        b"\x80\x04cbuiltins\nlist\n}(X\x08\x00\x00\x00__dict__K\x01ub.",
        b"\x80\x02cos\nsystem\nQ.",
        b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x80\x02]K\x01Q.",
        b"\x80\x02}(]K\x01u.",
        b"\x80\x02})" + b"\x85" * 1_000_000 + b"K\x01s.",
        b"",
        b"text",
    ],
    ids=lambda stream: ascii(stream[:12]),
)
def test_hostile_and_broken_streams_are_refused(tmp_path, stream, monkeypatch):
    """Text opcodes, the extension registry, a memo of gigabytes, a class as a target, buffers, unhashable keys,
    a tower of tuples."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.pkl").write_bytes(stream)
    with pytest.raises(ModelFormatError, match="not a readable pickle"):
        read_pickle(tmp_path / "a.pkl")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a.pkl"]


def altered(path, change):
    """Rewrite the entries of a torch file."""
    with zipfile.ZipFile(path) as file:
        entries = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(path, "w", change.get("compression", zipfile.ZIP_STORED)) as file:
        for name, content in entries.items():
            file.writestr(name, change.get(name.partition("/")[2], content))


@pytest.mark.parametrize(
    "change",
    [
        {"data/0": b"\x00" * 8},
        {"byteorder": b"big"},
        {"data.pkl": b"\x80\x02]."[:-1]},
        {"compression": zipfile.ZIP_DEFLATED},
    ],
)
def test_archives_that_lie_are_refused(tmp_path, change):
    path = tmp_path / "a.pt"
    torch.save({"x": torch.ones(4)}, path)
    altered(path, change)
    with pytest.raises(ModelFormatError, match="not a readable torch file"):
        read_torch_archive(path)


class Rebuilt:
    def __init__(self, *arguments):
        self.arguments = arguments

    def __reduce__(self):
        return torch._utils._rebuild_tensor_v2, self.arguments


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [(0, (5,), (1,)), (2, (3,), (1,)), (0, (10**12,), (0,)), (0, (2, 2), (1,)), (0, (2,), (9,))],
)
def test_tensors_that_reach_beyond_their_storage_are_refused(tmp_path, offset, size, stride):
    storage = torch.ones(4)._typed_storage()
    content = saved(tmp_path / "a.pt", Rebuilt(storage, offset, size, stride, False, collections.OrderedDict()))
    with pytest.raises(ModelFormatError, match="does not fit"):
        as_tensor(content)


def test_sizes_that_are_no_sizes_leave_a_stand_in(tmp_path):
    storage = torch.ones(4)._typed_storage()
    content = saved(tmp_path / "a.pt", Rebuilt(storage, -1, (2,), (1,), False, collections.OrderedDict()))
    assert isinstance(as_tensor(content), StandIn)


def test_files_of_old_torch_are_refused_without_a_look(tmp_path):
    path = tmp_path / "a.pt"
    torch.save({"x": Calls(open, str(tmp_path / "mark"), "w")}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(UnsafeCheckpoint, match=r"bare pickle, as torch wrote before 1\.6"):
        read_torch_archive(path)
    assert not (tmp_path / "mark").exists()


def test_flipped_bytes_give_our_errors_or_a_value(tmp_path):
    """Without a checksum, in a pickle, any byte may be anything."""
    rng = np.random.default_rng(0)
    value = {"names": np.array(["CD3D", "LYZ"], dtype=object), "n": np.float32(1), "f": pd.DataFrame({"a": [1]})}
    content = bytearray(pickle.dumps(value, protocol=2))
    path = tmp_path / "a.pkl"
    for _ in range(1500):
        damaged = bytearray(content)
        for place in rng.integers(len(content), size=rng.integers(1, 4)):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            found = read_pickle(path)
            for item in found.values() if isinstance(found, dict) else [found]:
                as_array(item), as_plain(item), as_tensor(item)
        except InsigniaError:
            pass
