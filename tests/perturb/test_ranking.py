"""Perturbations ranked by a signature: the number is that of plain scoring, the order that of the truth."""

from dataclasses import replace

import numpy as np
import pytest

from insignia import tl
from insignia.core.errors import GeneMatchError, InputError
from insignia.data import Condition, simulate_screen
from insignia.data.perturbation_splits import parse_unit, unseen_genes_split
from insignia.genes import Signature, control_genes
from insignia.perturb import fit, rank
from insignia.perturb.contract import Effect
from insignia.perturb.effects import group_effects


@pytest.fixture(scope="module")
def screen():
    return simulate_screen(
        n_genes=200, n_programs=10, n_perturbations=100, n_doubles=20, n_controls=200,
        cells_per_condition=30, embedding_noise=0.05, n_contexts=2, rng=3,
    )  # fmt: skip


@pytest.fixture(scope="module")
def signature(screen):
    """Genes that one program raises, and one that it lowers."""
    order = np.argsort(screen.truth.loadings[6])
    genes = [screen.data.genes[i] for i in [*order[-11:], order[0]]]
    return Signature.from_genes(genes, weights=[1.0] * 11 + [-0.5], name="program")


@pytest.fixture(scope="module")
def split(screen):
    return unseen_genes_split(screen.data, share=0.3, rng=0)


@pytest.fixture(scope="module")
def model(screen, split):
    return fit(screen.data, split, method="ridge_embedding", priors=screen.priors)


@pytest.fixture(scope="module")
def unseen(split):
    held = dict.fromkeys(parse_unit(unit)[0] for unit in split.test)
    return [str(one) for one in held if len(one.genes) == 1]


def test_the_change_is_what_scoring_gives(model, signature):
    found = rank(model, signature).table.set_index(["context", "condition"])
    means = model.means(sorted(set(found.index.get_level_values("condition"))))
    tl.score(means, signature, layer="delta", key_added="change")
    for _, row in means.obs.iterrows():
        assert found.loc[(row["context"], row["condition"]), "change"] == pytest.approx(row["change"], abs=1e-6)
    assert set(found["learned"]) == {True}


def test_unseen_genes_come_in_the_order_of_the_truth_and_errors_are_as_said(screen, model, signature, unseen):
    flat = fit(screen.data, method="perturbed_mean")
    found = rank(model, signature, unseen, measured=screen.data, baselines={"mean of all": flat})
    table = found.table
    assert not table["learned"].any()
    truth = [screen.truth.effect(Condition.parse(one))[6] for one in table["condition"]]
    for context in model.contexts:
        here = (table["context"] == context).to_numpy()
        assert np.corrcoef(table["change"][here], np.array(truth)[here])[0, 1] > 0.8
    effects = group_effects(screen.data)
    weights = np.zeros(len(screen.data.genes))
    weights[[screen.data.genes.index(gene) for gene in signature.genes]] = signature.weight_array / 11.5
    measured = [effects.of(Condition.parse(row.condition), row.context) @ weights for row in table.itertuples()]
    np.testing.assert_allclose(table["measured"], measured, atol=1e-9)
    error = np.abs(table["change"] - measured)
    assert found.accuracy.loc["model", "error"] == pytest.approx(error.mean())
    assert found.accuracy.loc["model", "error"] < found.accuracy.loc["mean of all", "error"]
    inside = table["measured"].between(table["low"], table["high"])
    assert 0.9 <= inside.mean() < 1
    assert (found.accuracy["groups"] == len(table)).all()


def test_towards_and_away_are_each_others_reverse(model, signature):
    up, down = (rank(model, signature, direction=one, contexts=["context1"]).table for one in ("towards", "away"))
    assert list(up["condition"]) == list(down["condition"])[::-1]
    assert up["change"].is_monotonic_decreasing
    opposite = replace(signature, weights=tuple(-one for one in signature.weights))
    turned = rank(model, opposite, contexts=["context1"]).table
    assert list(turned["condition"]) == list(down["condition"])
    np.testing.assert_allclose(turned["change"], -down["change"])


def test_a_single_perturbation_is_worked_out_once_for_all_its_pairs(model, signature, monkeypatch):
    asked, plain = [], type(model).effect

    def effect(self, condition, context):
        asked.append((str(condition), context))
        return plain(self, condition, context)

    monkeypatch.setattr(type(model), "effect", effect)
    table = rank(model, signature, contexts=["context2"], pairs_of_best=5).table
    assert table["sum_of_singles"].notna().sum() > 3
    singles = [one for one in asked if "+" not in one[0]]
    assert len(singles) == len(set(singles))


def test_pairs_of_the_best_stand_beside_their_parts(model, signature):
    singles = rank(model, signature, contexts=["context2"]).table
    both = rank(model, signature, contexts=["context2"], pairs_of_best=4).table
    pairs = both[both["condition"].str.contains("+", regex=False)]
    best = set(singles["condition"].head(4))
    assert {frozenset(one.split("+")) for one in pairs["condition"]} == {
        frozenset((a, b)) for a in best for b in best if a < b
    }
    alone = singles.set_index("condition")["change"]
    for row in pairs.itertuples():
        parts = alone[row.condition.split("+")]
        assert (row.sum_of_singles, row.best_single) == (pytest.approx(parts.sum()), pytest.approx(parts.max()))
    assert both["rank"].is_monotonic_increasing
    assert both[~both["condition"].isin(pairs["condition"])]["best_single"].isna().all()


class _Members:
    """Stands for a predictor of three fits."""

    def __init__(self, members):
        self.members = members

    def effect(self, condition, context):
        return Effect(self.members.mean(axis=0), members=self.members)


def test_the_spread_is_that_of_scores_and_not_of_genes(model, signature):
    """Two genes that always err in opposite ways leave no doubt about their sum."""
    members = np.zeros((3, len(model.genes)))
    first, second = (model.genes.index(gene) for gene in signature.genes[:2])
    members[:, first], members[:, second] = [0.0, 1.0, 2.0], [2.0, 1.0, 0.0]
    steady = rank(replace(model, predictor=_Members(members)), signature, ["PERT001"]).table
    np.testing.assert_allclose(steady["sd"], 0, atol=1e-12)
    members[:, second] = [0.0, 1.0, 2.0]
    unsteady = rank(replace(model, predictor=_Members(members)), signature, ["PERT001"]).table
    np.testing.assert_allclose(unsteady["sd"], 2 * np.std([0.0, 1.0, 2.0]) / 11.5)


class _Shift:
    """Stands for a predictor whose every perturbation lowers all genes, and one the signature too."""

    def __init__(self, places):
        self.places = places

    def effect(self, condition, context):
        delta = np.full(200, -0.4 if str(condition) == "PERT001" else 0.0)
        delta[self.places] -= 0.1 if str(condition) == "PERT002" else 0
        return Effect(delta)


def test_control_genes_tell_a_quieted_signature_from_cells_that_lost_a_little_of_everything(model, signature):
    """Planted: PERT001 lowers every gene by .4, PERT002 the signature alone by .1."""
    raised = Signature.from_genes(signature.genes[:11], name="program")
    stand_in = replace(model, predictor=_Shift([model.genes.index(gene) for gene in raised.genes]))
    asked = ["PERT001", "PERT002"]
    first = {}
    for n_controls in (0, 5):
        made = rank(stand_in, raised, asked, direction="away", contexts=["context1"], n_controls=n_controls)
        assert made.n_controls == made.record()["n_controls"] == n_controls
        table = made.table
        first[n_controls] = table["condition"][0]
        change = table.set_index("condition")["change"]
        assert change["PERT001"] == pytest.approx(0 if n_controls else -0.4)
        assert change["PERT002"] == pytest.approx(-0.1)
    assert first == {0: "PERT001", 5: "PERT002"}


def test_controls_are_genes_outside_of_the_signature_that_come_closest():
    level = np.array([0.0, 1.0, 1.1, 5.0, 5.2, 0.8, 8.0])
    found = control_genes(np.array([1, 3]), level, 2)
    assert [set(row) for row in found] == [{2, 5}, {4, 6}]
    assert control_genes(np.array([1, 3]), level, 50).shape == (2, 5)
    assert control_genes(np.arange(7), level, 2).size == 0


def test_what_cannot_be_ranked_is_refused(screen, model, signature):
    with pytest.raises(GeneMatchError, match="min_coverage=50%"):
        rank(model, ["GENE0001", "OTHER1", "OTHER2"])
    with pytest.raises(GeneMatchError, match="none to compare with"):
        rank(model, list(model.genes), n_controls=5)
    with pytest.raises(InputError, match="number of genes"):
        rank(model, signature, n_controls=-1)
    with pytest.raises(InputError, match="towards, away"):
        rank(model, signature, direction="up")
    with pytest.raises(InputError, match="not of 'context9'"):
        rank(model, signature, contexts=["context9"])
    with pytest.raises(InputError, match="predicts other genes"):
        rank(model, signature, baselines={"other": replace(model, genes=model.genes[::-1])})
    additive = fit(screen.data, method="additive")
    with pytest.raises(InputError, match="no answer for"):
        rank(additive, signature, ["NOBODY"])
