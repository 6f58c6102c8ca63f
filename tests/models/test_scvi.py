"""scvi-tools directories: read like an independent forward pass, whatever stands beside the weights."""

import contextlib
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_matrix
from tests.attribution.conftest import NAMES
from tests.lookalikes import scvi
from tests.lookalikes.scvi import attributes, build, independent_embedding, state_dict

from insignia import models
from insignia.attribution import attribute
from insignia.core import keys
from insignia.core.errors import (
    DuplicateNames,
    InputSpaceError,
    InsigniaError,
    MissingMetadata,
    ModelFormatError,
    UnsafeCheckpoint,
)
from insignia.data import Cells
from insignia.models.scvi import load_scvi
from insignia.models.scvi_converted import convert_scvi

COUNTS = scvi.cells().X.toarray().astype(np.float64)
OBS = pd.DataFrame(
    {
        "batch": ["b1", "b2", "b3", "b1"] * 3,
        "site": pd.Categorical([2, 1] * 6),
        "age": np.linspace(-1, 1, 12),
    },
    index=[f"c{i}" for i in range(12)],
)


def cells(obs=OBS, *, space="counts"):
    return Cells(csr_matrix(COUNTS.astype(np.float32)), space, obs)


def one_hot(column, categories):
    return (OBS[column].to_numpy()[:, None] == np.array(categories)).astype(float)


BATCH, SITE, AGE = one_hot("batch", ["b1", "b2", "b3"]), one_hot("site", [1, 2]), OBS[["age"]].to_numpy()


def covariates(**settings):
    """Weights with all covariates, and what is appended to the inputs of their layers."""
    embedded = 4 if settings.get("batch_representation") == "embedding" else 0
    deep = 2 if embedded else 5
    state = state_dict(first=1 + embedded + deep, deep=deep, embedded=embedded)
    middle = [BATCH @ state["_embeddings_dict.batch.weight"].double().numpy()] if embedded else []
    hots = [SITE] if embedded else [BATCH, SITE]
    attrs = attributes(settings={"encode_covariates": True, **settings})
    return state, attrs, np.hstack([AGE, *middle, *hots]), np.hstack(hots)


@pytest.mark.parametrize("hidden", [(24,), (24, 16), (20, 20, 20)])
@pytest.mark.parametrize(("norm", "setting"), [("batch", "none"), ("none", "none"), ("layer", "encoder")])
def test_the_embedding_equals_an_independent_forward(tmp_path, hidden, norm, setting):
    """T6: with log1p, to 1e-6."""
    state = state_dict(hidden=hidden, norm=norm)
    path = build(tmp_path / "model", state=state, attrs=attributes(settings={"use_layer_norm": setting}))
    found = models.load(path).embed(cells())
    np.testing.assert_allclose(found, independent_embedding(COUNTS, state, norm=norm), rtol=1e-6, atol=1e-6)
    assert np.abs(found - independent_embedding(COUNTS, state, norm=norm, log=False)).max() > 0.1


def test_counts_are_taken_as_they_are_where_the_model_takes_no_logarithm(tmp_path):
    state = state_dict()
    path = build(tmp_path / "model", state=state, attrs=attributes(settings={"log_variational": False}))
    model = models.load(path)
    expected = independent_embedding(COUNTS, state, log=False)
    np.testing.assert_allclose(model.embed(cells()), expected, rtol=1e-6, atol=2e-6)
    assert model.describe()["preprocessing"] == "counts, not scaled"


def test_only_counts_are_accepted(tmp_path):
    model = models.load(build(tmp_path / "model"))
    assert model.describe()["preprocessing"] == "log1p of counts, not scaled"
    with pytest.raises(InputSpaceError, match="needs counts"):
        model.embed(cells(space="log1p"))


@pytest.mark.parametrize("settings", [{}, {"batch_representation": "embedding"}])
def test_covariates_enter_the_layers_that_read_them(tmp_path, settings):
    state, attrs, first, deep = covariates(**settings)
    model = models.load(build(tmp_path / "model", state=state, attrs=attrs))
    expected = independent_embedding(COUNTS, state, first=first, deep=deep)
    np.testing.assert_allclose(model.embed(cells()), expected, rtol=1e-6, atol=2e-6)
    assert model.tail_layers is None
    assert model.describe()["covariates"] == ["batch", "site", "age"]
    assert np.abs(model.embed(cells(OBS.assign(batch="b1"))) - expected).max() > 0.01


def test_covariates_may_enter_the_first_layer_only(tmp_path):
    state = state_dict(first=6, deep=0)
    model = models.load(build(tmp_path / "model", state=state))
    expected = independent_embedding(COUNTS, state, first=np.hstack([AGE, BATCH, SITE]))
    np.testing.assert_allclose(model.embed(cells()), expected, rtol=1e-6, atol=2e-6)
    assert model.tail_layers is not None


def test_a_continuous_covariate_may_stand_alone(tmp_path):
    attrs = attributes()
    del attrs["registry_"]["field_registries"]["batch"]
    attrs["registry_"]["field_registries"]["extra_categorical_covs"] = {"state_registry": {}}
    state = state_dict(first=1)
    model = models.load(build(tmp_path / "model", state=state, attrs=attrs))
    expected = independent_embedding(COUNTS, state, first=AGE)
    np.testing.assert_allclose(model.embed(cells(OBS[["age"]])), expected, rtol=1e-6, atol=2e-6)


@pytest.mark.filterwarnings("ignore:.*cells are off")  # random weights: the score of some cells hardly changes
@pytest.mark.parametrize("kind", ["one-hot", "embedding", "first layer only"])
def test_attributions_with_covariates_are_complete_on_the_fast_and_on_the_slow_path(tmp_path, kind):
    state, attrs, _, _ = covariates(batch_representation=kind) if "layer" not in kind else covariates()
    state = state_dict(first=6) if "layer" in kind else state
    model = models.load(build(tmp_path / "model", state=state, attrs=attrs))
    fast = scvi.cells()
    fast.obs = OBS.copy()
    slow = fast.copy()
    attribute(fast, model, show_progress=False)
    model.first_layer = None
    attribute(slow, model, show_progress=False)
    found, expected = (adata.layers[keys.ATTRIBUTION].toarray() for adata in (fast, slow))
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert fast.obs[keys.gap()].median() < 0.01
    assert (found[COUNTS == 0] == 0).all()


@pytest.mark.parametrize(
    ("obs", "message"),
    [
        (OBS[["batch"]], r"reads the covariates \['batch', 'site', 'age'\], and obs lacks \['site', 'age'\]"),
        (OBS.assign(batch=["b1"] * 10 + ["x", None]), r"knows \['b1', 'b2', 'b3'\] .* holds \['None', 'x'\] in 2"),
        (OBS.assign(age=[1.0] * 11 + [np.nan]), "reads numbers in the covariate 'age', and obs holds none in 1 of 12"),
    ],
)
def test_covariates_that_obs_does_not_give_are_asked_for(tmp_path, obs, message):
    state, attrs, _, _ = covariates()
    model = models.load(build(tmp_path / "model", state=state, attrs=attrs))
    with pytest.raises(MissingMetadata, match=message):
        model.embed(cells(obs))


def test_covariates_are_not_asked_for_where_the_encoder_does_not_read_them(tmp_path):
    model = models.load(build(tmp_path / "model"))
    assert model.prepare(cells(OBS[[]])).context == {}
    assert model.describe()["covariates"] == []


@pytest.mark.parametrize("covariates_read", [False, True])
def test_the_layout_before_0_15_loads_as_the_present_one(tmp_path, covariates_read):
    state = state_dict(first=6, deep=5) if covariates_read else state_dict()
    old = models.load(build(tmp_path / "old", legacy=True, prefix="run1_", state=state))
    new = models.load(build(tmp_path / "new", prefix="run1_", state=state))
    assert old.fingerprint == new.fingerprint
    np.testing.assert_array_equal(old.embed(cells()), new.embed(cells()))


def test_genes_may_be_ensembl_ids(tmp_path):
    """R15: ids of the model, symbols in the data."""
    names = [f"ENSG{i:011d}" for i in range(60)]
    model = models.load(build(tmp_path / "model", names=names))
    assert model.genes.ids.tolist() == names
    assert model.genes.organism == "human"
    adata = scvi.cells()
    adata.var["gene_ids"] = names
    attribute(adata, model, show_progress=False)
    assert (adata.var[keys.gene_index()] == np.arange(60)).all()


@pytest.mark.parametrize("linear", [False, True])
def test_scanvi_classifies_embeddings(tmp_path, linear):
    state = state_dict(labels=2, linear=linear)
    attrs = attributes(model="SCANVI", kwargs="model_kwargs")
    model = models.load(build(tmp_path / "model", state=state, attrs=attrs))
    assert model.labels == ("B", "T")
    embedding = independent_embedding(COUNTS, state)
    expected = independent_embedding(embedding, state, log=False, prefix="classifier.classifier")
    found = model.classify(torch.tensor(embedding, dtype=torch.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-6)
    assert models.load(build(tmp_path / "plain")).labels == ()


def test_an_unusual_classifier_is_left_out(tmp_path):
    attrs = attributes(model="SCANVI", settings={"classifier_parameters": {"activation_fn": torch.nn.Tanh}})
    model = models.load(build(tmp_path / "model", state=state_dict(labels=2), attrs=attrs))
    assert model.labels == ()
    with pytest.raises(NotImplementedError, match="does not classify"):
        model.classify(torch.zeros(1, 6))


def test_the_fingerprint_follows_what_the_embedding_depends_on(tmp_path):
    same = [models.load(build(tmp_path / name)).fingerprint for name in "ab"]
    assert same[0] == same[1]
    trained = attributes() | {"history_": {}, "is_trained_": False}
    assert models.load(build(tmp_path / "c", attrs=trained)).fingerprint == same[0]
    different = [
        {"state": state_dict(seed=1)},
        {"names": [f"OTHER{i}" for i in range(60)]},
        {"attrs": attributes(settings={"log_variational": False})},
        {"attrs": attributes(settings={"use_layer_norm": "both"})},
    ]
    prints = [models.load(build(tmp_path / f"d{i}", **content)).fingerprint for i, content in enumerate(different)]
    assert len({same[0], *prints}) == 5


class Malicious:
    """Leaves a mark when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return open, (str(self.marker), "w")


def needed(marker):
    """Content in which something that is needed would run code."""
    bad = Malicious(marker)
    registry = attributes()["registry_"]
    weight = "z_encoder.encoder.fc_layers.Layer 0.0.weight"
    return {
        "content": bad,
        "attr_dict": scvi.checkpoint() | {"attr_dict": bad},
        "var_names": scvi.checkpoint() | {"var_names": bad},
        "a name": scvi.checkpoint() | {"var_names": np.array([*NAMES[:-1], bad], dtype=object)},
        "model_state_dict": scvi.checkpoint() | {"model_state_dict": bad},
        "a weight": scvi.checkpoint(state=state_dict() | {weight: bad}),
        "init_params_": scvi.checkpoint(attrs=attributes() | {"init_params_": bad}),
        "log_variational": scvi.checkpoint(attrs=attributes(settings={"log_variational": bad})),
        "registry_": scvi.checkpoint(attrs=attributes() | {"registry_": registry | {"field_registries": bad}}),
    }


@pytest.mark.parametrize("slot", sorted(needed("")))
def test_what_is_needed_but_would_run_code_is_refused(tmp_path, slot):
    marker = tmp_path / "mark"
    (tmp_path / "model").mkdir()
    torch.save(needed(marker)[slot], tmp_path / "model" / "model.pt")
    with pytest.raises(UnsafeCheckpoint, match=r"open.*runs no code.*insignia model convert .*model -o OUT --trust"):
        models.load(tmp_path / "model")
    assert not marker.exists()


def test_what_is_not_needed_may_be_anything_and_does_nothing(tmp_path):
    marker = tmp_path / "mark"
    bad = Malicious(marker)
    attrs = attributes() | {"history_": bad, "train_indices_": [bad], "run_id_": {"a": bad}}
    path = build(tmp_path / "model", state=state_dict() | {"pyro_param_store": bad, "px_r": bad}, attrs=attrs)
    plain = build(tmp_path / "plain", state=state_dict())
    assert models.load(path).fingerprint == models.load(plain).fingerprint
    assert not marker.exists()


def test_the_legacy_files_run_nothing(tmp_path):
    marker = tmp_path / "mark"
    path = build(tmp_path / "model", legacy=True)
    (path / "attr.pkl").write_bytes(pickle.dumps({"init_params_": Malicious(marker)}))
    with pytest.raises((UnsafeCheckpoint, ModelFormatError)):
        models.load(path)
    build(path, legacy=True)
    torch.save(state_dict(), path / "model_params.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(UnsafeCheckpoint, match=r"bare pickle.*insignia model convert"):
        models.load(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"state": {}}, "no matrix 'z_encoder.encoder.fc_layers.Layer 0.0.weight'"),
        ({"state": state_dict(genes=50)}, "layer 0 reads 50 values, and there are 60 genes"),
        ({"state": state_dict(first=2)}, r"layer 0 reads 62 values, .* 60 genes and 6 values of covariates"),
        ({"state": state_dict(first=6, deep=3)}, r"layer 1 reads 27 values, .* 24 hidden units and 5 values"),
        ({"state": state_dict(deep=5)}, "layer 1 reads 29 values"),
        ({"state": state_dict(hidden=(24, 16), latent=6) | {"z_encoder.mean_encoder.weight": torch.zeros(6, 9)}}, "9"),
        ({"state": state_dict() | {"z_encoder.mean_encoder.bias": torch.zeros(5)}}, "should be of shape"),
        ({"state": state_dict() | {"z_encoder.mean_encoder.bias": torch.full((6,), torch.nan)}}, "not finite"),
        ({"state": state_dict() | {"z_encoder.mean_encoder.bias": "text"}}, "should be a vector or matrix of floats"),
        ({"attrs": attributes(model="TOTALVI")}, "a model 'TOTALVI' of scvi-tools; only SCVI and SCANVI"),
        ({"attrs": attributes(settings={"use_layer_norm": 3})}, "'use_layer_norm' should be one of"),
        ({"attrs": attributes(settings={"extra_encoder_kwargs": {"a": 1}})}, "extra_encoder_kwargs"),
        ({"attrs": {}}, "registry_"),
    ],
)
def test_a_damaged_checkpoint_is_refused_with_its_fault(tmp_path, content, message):
    with pytest.raises(ModelFormatError, match=message):
        models.load(build(tmp_path / "model", **content))


def test_several_modalities_are_refused(tmp_path):
    (tmp_path / "model").mkdir()
    torch.save(scvi.checkpoint() | {"var_names": {"rna": [], "atac": []}}, tmp_path / "model" / "model.pt")
    with pytest.raises(ModelFormatError, match=r"those of 2 modalities, \[\"'atac'\", \"'rna'\"\]"):
        models.load(tmp_path / "model")


def test_a_missing_norm_layer_or_gene_is_named(tmp_path):
    state = state_dict()
    del state["z_encoder.encoder.fc_layers.Layer 1.1.running_var"]
    with pytest.raises(ModelFormatError, match=r"Layer 1.1.running_var"):
        models.load(build(tmp_path / "a", state=state))
    with pytest.raises(DuplicateNames, match="lists 1 genes twice"):
        models.load(build(tmp_path / "b", names=["GENE1", "GENE1", *NAMES[2:]]))


def test_a_folder_of_several_models_is_refused(tmp_path):
    build(tmp_path, prefix="a_")
    build(tmp_path, prefix="b_")
    with pytest.raises(ModelFormatError, match=r"holds 2 models, with the prefixes \['a_', 'b_'\]"):
        models.load(tmp_path)


def test_the_directory_of_another_family_is_left_to_it(tmp_path):
    for name in ("best_model.pt", "vocab.json", "args.json"):
        (tmp_path / name).write_text("{}")
    assert not models.families["scvi"].recognises(tmp_path)


def test_a_converted_model_is_the_same_model(tmp_path):
    state, attrs, _, _ = covariates(batch_representation="embedding")
    path = build(tmp_path / "model", state=state, attrs=attrs)
    convert_scvi(path, tmp_path / "converted")
    before, after = models.load(path), models.load(tmp_path / "converted")
    assert after.fingerprint == before.fingerprint
    np.testing.assert_array_equal(after.embed(cells()), before.embed(cells()))


class Names:
    """An array of names in a class that only trust can unpickle."""

    def __init__(self, names):
        self.names = names

    def __reduce__(self):
        return np.array, (self.names,)


@pytest.mark.parametrize("zipped", [True, False])
def test_only_trust_converts_what_needs_code(tmp_path, zipped):
    plain = models.load(build(tmp_path / "plain"))
    content = scvi.checkpoint() | {"var_names": Names(NAMES)}
    (tmp_path / "model").mkdir()
    torch.save(content, tmp_path / "model" / "model.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(UnsafeCheckpoint, match="--trust"):
        convert_scvi(tmp_path / "model", tmp_path / "converted")
    assert not (tmp_path / "converted").exists()
    convert_scvi(tmp_path / "model", tmp_path / "converted", trust=True)
    assert models.load(tmp_path / "converted").fingerprint == plain.fingerprint


def test_trust_reads_the_legacy_layout_too(tmp_path):
    path = build(tmp_path / "model", legacy=True, state=state_dict(labels=2))
    convert_scvi(path, tmp_path / "converted", trust=True)
    assert models.load(tmp_path / "converted").fingerprint == models.load(path).fingerprint
    (path / "attr.pkl").write_bytes(b"noise")
    with pytest.raises(ModelFormatError, match="could not be read with what is installed"):
        convert_scvi(path, tmp_path / "other", trust=True)


def test_a_converted_model_that_was_edited_is_refused(tmp_path):
    convert_scvi(build(tmp_path / "model"), tmp_path / "converted")
    content = (tmp_path / "converted" / "model.json").read_text()
    for old, new in (('"genes"', '"names"'), ('"GENE7"', "7"), ('"labels": []', '"labels": "B"')):
        (tmp_path / "converted" / "model.json").write_text(content.replace(old, new))
        with pytest.raises(ModelFormatError, match="Convert it again"):
            models.load(tmp_path / "converted")
    with pytest.raises(ModelFormatError, match="should be a directory"):
        load_scvi(tmp_path / "absent")


@pytest.mark.parametrize("legacy", [False, True])
def test_flipped_bytes_give_our_errors_or_the_same_model(tmp_path, legacy):
    """Checksums guard the torch file; names and attributes of the old layout have none, and may differ."""
    state = state_dict(first=6, deep=5, labels=2, hidden=(4,), genes=8)
    path = build(tmp_path / "model", legacy=legacy, state=state, names=NAMES[:8])
    before = models.load(path).fingerprint
    rng = np.random.default_rng(0)
    for file in sorted(path.iterdir()):
        content = file.read_bytes()
        places = rng.choice(len(content), min(len(content), 100), replace=False)
        for place in [*places, *range(max(0, len(content) - 60), len(content))]:
            damaged = bytearray(content)
            damaged[place] ^= 1 << rng.integers(8)
            file.write_bytes(damaged)
            with contextlib.suppress(InsigniaError):
                assert models.load(path).fingerprint == before or file.suffix != ".pt"
        file.write_bytes(content)


@pytest.mark.filterwarnings("ignore:.*cells are off")
@pytest.mark.parametrize("matched", [False, True])
def test_a_given_baseline_keeps_the_covariates_of_the_cell(tmp_path, matched):
    state, attrs, _, _ = covariates()
    model = models.load(build(tmp_path / "model", state=state, attrs=attrs))
    adata = scvi.cells()
    adata.obs = OBS.copy()
    baseline = adata.X[::-1] if matched else np.asarray(adata.X.mean(0)).ravel()
    attribute(adata, model, baseline=baseline, show_progress=False)
    whole = adata.layers[keys.ATTRIBUTION].toarray()
    assert adata.obs[keys.gap()].median() < 0.01
    assert model.latent == model.embed(Cells(adata.X, "counts", adata.obs)).shape[1]
    alone = adata[4].copy()
    attribute(alone, model, baseline=baseline[4] if matched else baseline, show_progress=False)
    np.testing.assert_allclose(alone.layers[keys.ATTRIBUTION].toarray()[0], whole[4], rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("linear", [False, True])
def test_the_logit_of_a_label_is_attributed_completely(tmp_path, linear):
    attrs = attributes(model="SCANVI", kwargs="model_kwargs")
    model = models.load(build(tmp_path / "model", state=state_dict(labels=2, linear=linear), attrs=attrs))
    adata = scvi.cells()
    attribute(adata, model, target="label:T", n_steps=200, show_progress=False)
    assert adata.uns[keys.ATTRIBUTION]["target"] == "label:T"
    assert adata.obs[keys.gap()].median() < 0.01
