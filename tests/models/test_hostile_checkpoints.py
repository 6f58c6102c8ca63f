"""Checkpoints made to hurt are refused in words of ours, before they take memory or the interpreter with them."""

import json
import pickle

import numpy as np
import pytest
import torch
from benchmarks.attack.pickles import archive, bombs, codes, odd_archives
from tests.lookalikes import pca, scimilarity

from insignia.core.errors import ModelError, ModelFormatError
from insignia.models import load
from insignia.models.checkpoint import read_json, read_torch
from insignia.models.pickle_opcodes import check_opcodes


@pytest.mark.parametrize("kind", codes())
@pytest.mark.parametrize("form", ["bare", "archive", "before 1.6"])
def test_nothing_in_a_torch_file_is_run(tmp_path, monkeypatch, kind, form):
    monkeypatch.chdir(tmp_path)
    value, path = codes()[kind], tmp_path / "a.pt"
    if form == "before 1.6":
        torch.save({"a": value}, path, _use_new_zipfile_serialization=False)
    else:
        stream = pickle.dumps({"a": value}, protocol=2)
        path.write_bytes(stream if form == "bare" else archive(stream))
    with pytest.raises(ModelError, match=r"runs no code|not a readable torch file"):
        read_torch(path)
    assert [item.name for item in tmp_path.iterdir()] == ["a.pt"]


@pytest.mark.parametrize("kind", ["tower of tuples", "memo of gigabytes", "number of megabytes", "extension registry"])
def test_pickles_that_would_exhaust_the_reader_are_refused_unread(tmp_path, kind):
    """The first ends the interpreter inside torch, where nothing can be caught."""
    for content in (archive(bombs()[kind]), bombs()[kind]):
        (tmp_path / "a.pt").write_bytes(content)
        with pytest.raises(ModelFormatError, match="not a readable torch file"):
            read_torch(tmp_path / "a.pt")


@pytest.mark.parametrize("kind", ["of stride 0", "of strides 0", "that overflows", "of complex numbers"])
def test_tensors_without_numbers_of_their_own_are_refused(tmp_path, kind):
    """Four numbers seen a million million times: looking at them would take a terabyte."""
    path = scimilarity.build(tmp_path / "model") / "encoder.ckpt"
    path.write_bytes(odd_archives("network.0.1.weight")[f"tensor {kind}"]())
    with pytest.raises(ModelError):
        load(path.parent)


@pytest.mark.parametrize("tensor", [torch.empty(10**6, 10**6, device="meta"), torch.ones(3).to_sparse()])
def test_tensors_that_are_elsewhere_are_refused(tmp_path, tensor):
    torch.save({"state_dict": {"a": tensor}}, tmp_path / "a.pt")
    with pytest.raises(ModelFormatError, match="without numbers"):
        read_torch(tmp_path / "a.pt")


def test_an_archive_that_unpacks_to_gigabytes_is_refused(tmp_path):
    (tmp_path / "a.pt").write_bytes(odd_archives("a")["zip of gigabytes"]())
    with pytest.raises(ModelFormatError, match="compressed or larger than the file"):
        read_torch(tmp_path / "a.pt")


def test_many_tensors_are_no_tower():
    """A vector a gene makes more tuples than any tower: how deep they are is what counts."""
    check_opcodes(pickle.dumps({f"G{i}": ((i,), (i, (i,))) for i in range(30_000)}, protocol=2))
    with pytest.raises(pickle.UnpicklingError, match="200 deep"):
        check_opcodes(b"\x80\x02)q\x00" + b"(h\x00h\x00tq\x00" * 300 + b".")


@pytest.mark.parametrize("text", ["[" * 100_000 + "]" * 100_000, '{"a":' * 50_000 + "1" + "}" * 50_000])
def test_json_that_is_nested_too_deep_is_refused(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ModelFormatError, match="nested too deep"):
        read_json(tmp_path / "config.json")


def with_state(state, **changed):
    return {**state, **{name.replace("_", "."): value for name, value in changed.items()}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: None, "state_dict should be a dict"),
        (lambda state: torch.zeros(2), "state_dict should be a dict"),
        (lambda state: with_state(state, network_0_2_bias=torch.zeros(0)), "should be floats of shape"),
        (lambda state: with_state(state, network_0_1_bias=torch.zeros(3)), "should be floats of shape"),
        (lambda state: with_state(state, network_0_3_weight=torch.zeros(7)), "should be floats of shape"),
        (lambda state: with_state(state, network_3_weight=torch.zeros(5)), "should be floats of shape"),
    ],
)
def test_scimilarity_refuses_weights_of_other_shapes(tmp_path, change, message):
    path = scimilarity.build(tmp_path / "model") / "encoder.ckpt"
    torch.save({"state_dict": change(scimilarity.state_dict())}, path)
    with pytest.raises(ModelFormatError, match=message):
        load(path.parent)


def test_scimilarity_takes_no_notice_of_what_it_does_not_read(tmp_path):
    one = load(scimilarity.build(tmp_path / "one"))
    path = scimilarity.build(tmp_path / "two") / "encoder.ckpt"
    torch.save({"state_dict": {**scimilarity.state_dict(), 3: "text", ("a", 1): None}}, path)
    assert load(path.parent).fingerprint == one.fingerprint


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ({}, ModelFormatError, "list of texts under 'genes'"),
        ({"genes": [1, 2]}, ModelFormatError, "list of texts under 'genes'"),
        ({"genes": "CD3D"}, ModelFormatError, "list of texts under 'genes'"),
        ({"genes": ["CD3D", "\ud800"]}, ValueError, "half a character"),
    ],
)
def test_pca_refuses_a_record_without_genes(tmp_path, content, error, message):
    folder = pca.build(tmp_path / "model")
    (folder / "model.json").write_text(json.dumps(content))
    with pytest.raises(error, match=message):
        load(folder)


def test_pca_refuses_components_that_are_no_matrix(tmp_path):
    from safetensors.numpy import save_file

    folder = pca.build(tmp_path / "model")
    save_file({"components": np.zeros(5, np.float32), "mean": np.zeros(5, np.float32)}, folder / "pca.safetensors")
    with pytest.raises(ModelFormatError, match="should be floats of shape"):
        load(folder)
