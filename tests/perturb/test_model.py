"""Fitted models: saved and loaded without change or code, predictions as AnnData, and leaks that are refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from scipy.sparse import csr_matrix

from insignia import tl
from insignia.core import keys
from insignia.core.errors import GeneMatchError, InputError, ModelError, ModelFormatError
from insignia.core.files import canonical_json, sha256_file, sha256_text
from insignia.data import (
    Condition,
    GeneEmbedding,
    GenePriors,
    Split,
    read,
    read_split,
    simulate_screen,
    write_h5ad,
    write_splits,
)
from insignia.data.perturbation_splits import combo_split, unseen_context_split
from insignia.perturb import Effect, PerturbationModel, Predictor, fit, load_model, predictors
from insignia.perturb.saving import pack, unpack

QUICK = {"n_latent": 8, "width": 32, "epochs": 1, "steps_per_epoch": 4, "n_folds": 2, "n_groups": 4} | {
    "n_programs": 6,
    "latent_epochs": 1,
}


@pytest.fixture(scope="module")
def screen():
    return simulate_screen(
        n_genes=60, n_programs=6, n_perturbations=12, n_doubles=20, n_controls=80, cells_per_condition=20,
        n_contexts=2, rng=0,
    )  # fmt: skip


@pytest.fixture(scope="module")
def split(screen):
    return combo_split(screen.data, share_genes=0.25, rng=0)


def options(name):
    if name == "scbig":
        return QUICK | {"pieces": "all"}
    return QUICK if isinstance(predictors[name], type) and issubclass(predictors[name], predictors["flow"]) else {}


@pytest.fixture(scope="module", params=sorted(predictors))
def model(request, screen, split):
    return fit(screen.data, split, method=request.param, priors=screen.priors, **options(request.param))


@pytest.fixture(scope="module")
def flow(screen, split):
    return fit(screen.data, split, method="flow", priors=screen.priors, n_members=2, **QUICK)


@pytest.fixture(scope="module")
def ridge(screen, split):
    return fit(screen.data, split, method="ridge_embedding", priors=screen.priors)


def seen_pair(screen, split):
    return next(one for one in screen.truth.doubles if str(one) in split.train)


def test_every_predictor_comes_back_as_it_was_saved(model, screen, split, tmp_path):
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model")
    assert again.fingerprint == model.fingerprint
    assert (again.genes, again.contexts, again.about) == (model.genes, model.contexts, model.about)
    assert again.describe() == model.describe()
    pair = seen_pair(screen, split)
    for condition in (pair, pair.singles[0], Condition()):
        for context in model.contexts:
            ours, theirs = model.effect(condition, context), again.effect(condition, context)
            np.testing.assert_array_equal(theirs.delta, ours.delta)
            assert (theirs.status, theirs.note, theirs.facts) == (ours.status, ours.note, ours.facts)
    first, second = (one.predict(pair, n_cells=30, seed=3) for one in (model, again))
    np.testing.assert_array_equal(first.X, second.X)
    assert first.obs.equals(second.obs)


def test_the_folder_holds_json_and_safetensors_and_nothing_that_runs(model, tmp_path):
    model.save(tmp_path / "model")
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == ["arrays.safetensors", "model.json"]
    json.loads((tmp_path / "model" / "model.json").read_text())
    load_file(tmp_path / "model" / "arrays.safetensors")


def test_a_changed_file_is_found(ridge, tmp_path):
    ridge.save(tmp_path / "model")
    record, arrays = tmp_path / "model" / "model.json", tmp_path / "model" / "arrays.safetensors"
    text = record.read_text()
    record.write_text(text.replace('"ridge_embedding"', '"additive"', 1))
    with pytest.raises(ModelFormatError, match="own sha256"):
        load_model(tmp_path / "model")
    record.write_text(text)
    content = load_file(arrays)
    name = next(name for name in content if name.endswith("_line.weights") or content[name].dtype == np.float64)
    content[name] = content[name] + 1
    save_file(content, arrays)
    with pytest.raises(ModelFormatError, match=r"arrays.safetensors is missing or was changed"):
        load_model(tmp_path / "model")
    with pytest.raises(InputError, match="something at"):
        ridge.save(tmp_path / "model")


def forged(folder, change):
    """Change the record of a saved model as somebody would who knows how to make its hashes fit."""
    path = folder / "model.json"
    record = json.loads(path.read_text())
    record.pop("sha256")
    text = change(json.dumps(record))
    record = json.loads(text)
    record["arrays_sha256"] = sha256_file(folder / "arrays.safetensors")
    record["sha256"] = sha256_text(canonical_json(record))
    path.write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"GroupEffects"', '"os.system"', "'os.system', which this version does not know"),
        ('"kind": "predictor", "name": "ridge_embedding"', '"kind": "predictor", "name": "eval"', "not registered"),
        ('"on_missing"', '"effect"', "sets 'effect', which is no attribute"),
        ('"on_missing"', '"__class__"', "sets '__class__'"),
        ('"name": "Line"', '"name": "Trust"', "does not fit this version"),
        ('"kind": "condition"', '"kind": "eval"', "'eval', which this version does not know"),
    ],
)
def test_a_forged_record_builds_nothing_but_known_parts(ridge, tmp_path, old, new, said):
    ridge.save(tmp_path / "model")
    forged(tmp_path / "model", lambda text: text.replace(old, new, 1))
    with pytest.raises(ModelFormatError, match=said):
        load_model(tmp_path / "model")


def test_weights_that_do_not_fit_are_refused(flow, tmp_path):
    flow.save(tmp_path / "model")
    forged(tmp_path / "model", lambda text: text.replace('"depth", 2', '"depth", 3'))
    with pytest.raises(ModelFormatError, match="lack"):
        load_model(tmp_path / "model")
    with pytest.raises(ModelFormatError, match=r"holds no model.json"):
        load_model(tmp_path)


def test_equal_seeds_give_equal_bytes_and_others_do_not(screen, split, tmp_path):
    made = [fit(screen.data, split, priors=screen.priors, seed=seed, **QUICK) for seed in (1, 1, 2)]
    for number, one in enumerate(made):
        one.save(tmp_path / str(number))
    first, second, third = (
        [(tmp_path / str(i) / name).read_bytes() for name in ("model.json", "arrays.safetensors")] for i in range(3)
    )
    assert first == second
    assert first != third


def test_changing_test_cells_changes_no_bit_of_a_model(screen, split):
    """Stronger than a check of names: everything that is saved must not depend on test cells."""
    test = [one for one in screen.data.conditions if str(one) in split.test]
    rows = np.concatenate([screen.data.rows(one, where) for one in test for where in screen.data.contexts])
    changed = screen.data.expression.toarray()
    changed[rows] = np.random.default_rng(0).uniform(0, 5, (len(rows), 60))
    poisoned = replace(screen.data, expression=csr_matrix(changed))
    for method in ("flow", "ridge_onehot"):
        made = [
            fit(data, split, method=method, priors=screen.priors, **options(method)) for data in (screen.data, poisoned)
        ]
        assert made[0].fingerprint == made[1].fingerprint
    whole = [fit(data, method="ridge_onehot") for data in (screen.data, poisoned)]
    assert whole[0].fingerprint != whole[1].fingerprint


def test_a_model_that_learned_from_the_test_side_is_refused(screen, split):
    honest, leaky = (fit(screen.data, given, method="additive") for given in (split, None))
    honest.check_leaks(split)
    with pytest.raises(InputError, match=r"learned from .* groups of the test side"):
        leaky.check_leaks(split)


def test_predicted_cells_say_what_they_are(flow, screen, split):
    pair = seen_pair(screen, split)
    found = flow.predict([str(pair), "control"], n_cells=25, seed=0)
    assert found.shape == (2 * 2 * 25, 60)
    assert tuple(found.var_names) == screen.data.genes
    assert set(found.obs) == {
        keys.CONDITION, keys.CONTEXT, keys.SOURCE_CELL, keys.STATUS, keys.EMBEDDING_DISTANCE, keys.SHRINKAGE,
    }  # fmt: skip
    place = {name: i for i, name in enumerate(screen.data.cells)}
    source = screen.data.expression[[place[name] for name in found.obs[keys.SOURCE_CELL]]].toarray()
    np.testing.assert_allclose(found.X - found.layers[keys.DELTA], source, atol=1e-6)
    controls = set(screen.data.cells[screen.data.controls("context2")])
    assert set(found.obs.loc[found.obs[keys.CONTEXT] == "context2", keys.SOURCE_CELL]) <= controls
    unchanged = found[found.obs[keys.CONDITION] == "control"]
    np.testing.assert_array_equal(unchanged.layers[keys.DELTA], np.zeros(unchanged.shape))
    about = found.uns[keys.PERTURB]
    assert (about["space"], about["scale"], about["split_hash"]) == ("log1p", 300.0, split.fingerprint)
    assert about["model_hash"] == flow.fingerprint
    distance = found.obs.groupby(keys.CONDITION, observed=True)[keys.EMBEDDING_DISTANCE].first()
    assert distance[str(pair)] == pytest.approx(0, abs=1e-5)
    unseen = next(unit for unit in split.test if "+" not in unit)
    far = flow.predict(unseen, n_cells=1).obs
    assert (far[keys.EMBEDDING_DISTANCE] > 0.1).all()
    assert (far[keys.SHRINKAGE] == flow.predictor.trust.flow_unseen).all()


def test_predicted_cells_are_taken_as_they_are(flow, screen, split, tmp_path):
    import scanpy

    found = flow.predict([one for one in split.test if "+" in one][:3], contexts=["context1"], n_cells=20)
    write_h5ad(found, tmp_path / "cells.h5ad")
    again = read(tmp_path / "cells.h5ad")
    scanpy.pp.pca(again, n_comps=5)
    scanpy.tl.rank_genes_groups(again, keys.CONDITION, method="wilcoxon")
    program = screen.priors.gene_sets["program01"]
    tl.score(again, list(program), layer=None, key_added="program01")
    expected = again[:, list(program)].X.mean(axis=1)
    np.testing.assert_allclose(again.obs["program01"], expected, rtol=1e-5)


def test_a_condition_gets_the_same_cells_in_any_company_and_order(flow, screen, split):
    pair, other = seen_pair(screen, split), str(seen_pair(screen, split).singles[0])
    alone = flow.predict(str(pair), contexts=["context1"], n_cells=40, seed=5)
    swapped = flow.predict([other, "+".join(reversed(pair.genes))], contexts=["context1"], n_cells=40, seed=5)
    np.testing.assert_array_equal(swapped[swapped.obs[keys.CONDITION] == str(pair)].X, alone.X)
    assert flow.predict([str(pair), "+".join(reversed(pair.genes))], n_cells=1).n_obs == 2
    again = flow.predict(str(pair), contexts=["context1"], n_cells=40, seed=6)
    assert not np.array_equal(again.X, alone.X)


def test_the_test_side_of_a_split_is_predicted_as_its_conditions_are(flow, screen, split, tmp_path):
    write_splits(split, tmp_path / "split.json")
    found = flow.predict(read_split(tmp_path / "split.json"), n_cells=3, seed=1)
    named = flow.predict(list(split.test), n_cells=3, seed=1)
    np.testing.assert_array_equal(found.X, named.X)
    assert found.obs.equals(named.obs)
    assert set(flow.means(split, contexts=["context1"]).obs[keys.CONTEXT]) == {"context1"}
    leaky = fit(screen.data, method="ridge_embedding", priors=screen.priors)
    with pytest.raises(InputError, match=r"learned from .* groups of the test side"):
        leaky.predict(split)


def test_a_split_of_contexts_is_predicted_where_it_says(screen):
    split = unseen_context_split(screen.data, "context2")
    model = fit(screen.data, split, method="ridge_onehot")
    found = model.means(split)
    assert set(found.obs[keys.CONTEXT]) == {"context2"}
    assert len(found) == len(split.test)
    mixed = Split("mixed", ("PERT001",), ("PERT002 | context2", "PERT003"))
    bare = replace(model, about=dict(model.about) | {"trained": []})
    groups = bare.means(mixed).obs[[keys.CONDITION, keys.CONTEXT]].astype(str).to_numpy().tolist()
    assert groups == [["PERT003", "context1"], ["PERT002", "context2"], ["PERT003", "context2"]]
    with pytest.raises(InputError, match="holds out nothing in context1, but in context2"):
        model.means(split, contexts=["context1"])
    with pytest.raises(InputError, match="not of 'elsewhere'"):
        bare.means(Split("far", ("PERT001",), ("PERT002 | elsewhere",)))


def test_a_model_holds_of_an_embedding_what_predictions_need_and_once(screen, split, tmp_path):
    """Any gene may be perturbed next, so all of them stay; a vector of 800 numbers becomes one of at most 8."""
    rng = np.random.default_rng(0)
    known = screen.priors.embedding
    genes = (*known.genes, *(f"OTHER{i:04d}" for i in range(2000)))
    matrix = np.concatenate([known.matrix, rng.normal(size=(2000, known.matrix.shape[1]))])
    wide = (matrix @ rng.normal(size=(matrix.shape[1], 800))).astype(np.float32)
    priors = GenePriors(embedding=GeneEmbedding(genes, wide))
    model = fit(screen.data, split, priors=priors, n_members=2, **QUICK)
    model.save(tmp_path / "model")
    arrays = load_file(tmp_path / "model" / "arrays.safetensors")
    tables = [array for array in arrays.values() if array.shape[:1] == (len(genes),)]
    assert [(table.shape[1], table.dtype) for table in tables] == [(8, np.float32)]
    assert (tmp_path / "model" / "model.json").read_text().count('"OTHER0000"') == 1
    again = load_model(tmp_path / "model")
    assert again.predictor._members[0].table is again.predictor._table
    np.testing.assert_array_equal(
        again.means("OTHER0007").layers[keys.DELTA], model.means("OTHER0007").layers[keys.DELTA]
    )


def test_more_cells_than_controls_start_from_each_as_often(ridge, screen, split):
    found = ridge.predict(str(seen_pair(screen, split)), contexts=["context1"], n_cells=160)
    assert found.obs[keys.SOURCE_CELL].value_counts().unique().tolist() == [4]


def test_mean_predictions_are_the_controls_and_the_effect(flow, screen, split):
    pair = str(seen_pair(screen, split))
    found = flow.means([pair, "control"], contexts=["context2"])
    assert list(found.obs_names) == [f"{pair} | context2", "control | context2"]
    np.testing.assert_allclose(
        found.layers[keys.DELTA][0], flow.effect(Condition.parse(pair), "context2").delta, rtol=1e-5
    )
    level = flow.controls["context2"].expression.toarray().mean(axis=0)
    np.testing.assert_allclose(found.X[1], level, rtol=1e-4, atol=1e-6)
    single = flow.means(pair)
    assert single.layers[keys.SD].shape == (2, 60)
    assert single.layers[keys.SD].max() > 0


def test_what_cannot_be_predicted_is_refused(screen, split, ridge):
    with pytest.raises(GeneMatchError, match="no vector for NEWGENE"):
        ridge.predict("NEWGENE")
    with pytest.raises(InputError, match="contexts context1, context2, and not of 'elsewhere'"):
        ridge.predict("PERT001", contexts=["elsewhere"])
    with pytest.raises(InputError, match="n_cells must be at least 1"):
        ridge.predict("PERT001", n_cells=0)
    with pytest.raises(InputError, match="no condition"):
        ridge.predict([])
    additive = fit(screen.data, split, method="additive")
    unseen = next(unit for unit in split.test if "+" not in unit)
    with pytest.raises(InputError, match=f"additive has no answer for {unseen}"):
        additive.predict(unseen)
    with pytest.raises(InputError, match="cannot be made with the options nonsense"):
        fit(screen.data, split, method="additive", nonsense=1)


def test_a_gene_without_an_embedding_is_flagged_and_is_not_the_control(screen, split):
    known = screen.priors.embedding.genes[1:]
    matrix, _ = screen.priors.embedding.rows(known)
    priors = GenePriors(embedding=GeneEmbedding(known, matrix))
    lost = screen.priors.embedding.genes[0]
    train = screen.data.without([one for one in screen.data.conditions if lost in one.genes])
    found = fit(train, method="ridge_embedding", priors=priors, on_missing="mean").predict(lost, n_cells=5)
    assert set(found.obs[keys.STATUS]) == {"fallback"}
    assert np.abs(found.layers[keys.DELTA]).max() > 0.05


class Stranger(Predictor):
    """Not registered."""

    def fit(self, data, **_):
        return self

    def effect(self, condition, context):
        return Effect(np.zeros(60))


def test_what_cannot_be_saved_says_so(ridge, tmp_path):
    with pytest.raises(ModelError, match="Stranger is not registered"):
        replace(ridge, predictor=Stranger()).save(tmp_path / "model")
    odd = predictors["control"]()
    odd.thing = object()
    with pytest.raises(ModelError, match=r"holds a builtins.object cannot be saved"):
        replace(ridge, predictor=odd).save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_plain_values_come_back_as_they_were():
    value = {
        ("a", 1): [1, 2.5, float("inf"), None, True, "x"],
        "t": (np.arange(3), np.array(["a", "b"], dtype=object), Condition.of(["B", "A"])),
        "m": csr_matrix(np.eye(3, dtype=np.float32)),
    }
    arrays = {}
    again = unpack(json.loads(json.dumps(pack(value, arrays))), arrays)
    assert again["a", 1] == value["a", 1]
    assert isinstance(again["t"], tuple)
    np.testing.assert_array_equal(again["t"][0], np.arange(3))
    assert again["t"][1].tolist() == ["a", "b"]
    assert again["t"][2] == Condition.of(["A", "B"])
    assert (again["m"] != value["m"]).nnz == 0
    assert np.isnan(unpack(pack(float("nan"), {}), {}))


def test_a_model_is_what_fit_gives():
    assert PerturbationModel.load.__doc__
    with pytest.raises(ModelFormatError, match="does not fit this version"):
        unpack({"kind": "tuple"}, {})


def test_without_folds_the_flow_is_trusted_fully(screen, split):
    found = fit(screen.data, split, priors=screen.priors, **QUICK | {"n_folds": 0})
    assert found.predictor.trust.n_unseen == 0
    unseen = next(unit for unit in split.test if "+" not in unit)
    assert (found.predict(unseen, n_cells=2).obs[keys.SHRINKAGE] == 1).all()
