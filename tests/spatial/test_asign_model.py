"""ASIGN as it is trained, read out, saved and applied: oracles, planted truth, leaks and refusals."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.spatial.section_stacks import section_stack
from tests.spatial.spot_stacks import stack

from insignia.core.errors import InputError, ModelFormatError
from insignia.core.files import canonical_json, sha256_text
from insignia.spatial.asign import AsignOptions, fit_asign, load_asign, save_asign
from insignia.spatial.asign.fit import start_network
from insignia.spatial.asign.inputs import InputOptions, network_inputs
from insignia.spatial.asign.lessons import LessonOptions, learnt_rows, split_episodes
from insignia.spatial.asign.losses import LossWeights
from insignia.spatial.asign.objective import Episode, Lesson, MaskedSpots
from insignia.spatial.asign.readout import judge_sources, learn_readout, section_blocks
from insignia.spatial.covariance import SPACE_SHAPES, ImageCovariance, Shape, SpaceCovariance
from insignia.spatial.fading import Fading
from insignia.spatial.gaussian_fields import Mixture, predict_mixture
from insignia.spatial.impute import impute
from insignia.spatial.imputers import Asign, Blend
from insignia.spatial.program_model import ModelOptions
from insignia.stats import column_correlation
from insignia.training import TrainOptions

SMALL = AsignOptions(n_members=1, width=16, heads=2)
TAUGHT = replace(SMALL, train=TrainOptions(epochs=25, learning_rate=5e-3, weight_decay=1e-2, patience=0))


def donor(seed, *, sections=2, known=True):
    """Sections whose expression follows what the surroundings show: the mean of the first feature around."""
    spots = stack(side=9, sections=sections, features=3, genes=4, seed=seed)
    rng = np.random.default_rng(seed)
    far = np.hypot(*(spots.xyz_um[:, None, :2] - spots.xyz_um[:, :2]).transpose(2, 0, 1)) / spots.pitch_um
    near = (far < 1.6) & (spots.section[:, None] == spots.section)
    around = near @ spots.features[:, 0] / near.sum(axis=1)
    signal = (around - around.mean()) / around.std()
    expression = signal[:, None] * np.array([1.0, -1.0, 0.8, 0.6]) + 0.3 * rng.normal(size=(len(spots), 4))
    full = replace(spots, expression=expression.astype(np.float32), is_known=np.ones(len(spots), dtype=bool))
    return full if known else (full.hide(full.is_known), full.expression)


@pytest.fixture(scope="module")
def donors():
    return [donor(seed) for seed in range(1, 5)]


@pytest.fixture(scope="module")
def taught(donors):
    target, _ = donor(9, known=False)
    return fit_asign(target, training=donors, options=TAUGHT, seed=1)


def lesson_of(spots, *, weights, share=0.5, seed=0):
    """One lesson and its objective with given weights, and the sources as the Gaussian model has them."""
    rows = np.flatnonzero(spots.is_known)
    fading = Fading(0.2, 0.1, 20.0, "prior")
    place, image = SpaceCovariance(spots, Shape("matern32", 2.0), fading), ImageCovariance(spots, Shape("linear"))
    scores = np.random.default_rng(seed).normal(size=(len(rows), len(weights)))
    lesson = Lesson(
        inputs=network_inputs(spots, InputOptions()),
        place=torch.from_numpy(rows),
        rows=torch.from_numpy(rows),
        by_place=torch.from_numpy(place(rows, rows)).float(),
        by_image=torch.from_numpy(image(rows, rows)).float(),
        scores=torch.from_numpy(scores).float(),
        section=torch.from_numpy(spots.section[rows]),
        tiles=(torch.from_numpy(np.arange(len(rows)) // 4),),
    )
    objective = MaskedSpots([], [], np.array(weights), torch.eye(len(weights)), share, LossWeights())
    return lesson, objective, (place, image)


def test_hidden_spots_are_predicted_as_by_the_gaussian_model_of_the_blend():
    spots = replace(stack(side=6, sections=2), is_known=np.ones(72, dtype=bool))
    weights = [(1.0, 0.3), (0.0, 1.0), (0.3, 0.0), (1.0, 0.3), (0.0, 0.0)]
    lesson, objective, (place, _) = lesson_of(spots, weights=weights)
    visible, hidden = np.arange(0, 40), np.arange(45, 70)
    description = torch.randn(72, 5, generator=torch.Generator().manual_seed(0))
    episode = Episode(lesson, torch.from_numpy(visible), torch.from_numpy(hidden))
    found = objective.predict(description, episode)

    seen = description.double().numpy()
    seen = seen - seen[visible].mean(0)
    seen /= np.sqrt((seen[visible] ** 2).sum(1).mean())
    joined = np.hstack([np.sqrt(0.5 / 4) * spots.features, np.sqrt(0.5) * seen])
    read = ImageCovariance(replace(spots, features=joined * np.sqrt(joined.shape[1])), Shape("linear"))
    mixture = Mixture((0, 0), np.array(weights), np.ones(5))
    scores = lesson.scores.double().numpy()
    mean = scores[visible].mean(0)
    expected = predict_mixture([place, read], mixture, visible, scores[visible] - mean, hidden).parts.sum(0) + mean
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_loss_asks_hidden_spots_only_and_reaches_the_network():
    spots = replace(stack(side=10, sections=2), is_known=np.ones(200, dtype=bool))
    lesson, objective, _ = lesson_of(spots, weights=[(0.3, 1.0), (1.0, 0.3)])
    episode = Episode(lesson, torch.arange(0, 100), torch.arange(100, 160))
    one = start_network(4, SMALL, seed=0, number=0)
    loss = objective.loss(one, episode, torch.Generator())
    loss.backward()
    assert all(value.grad is not None and value.grad.abs().sum() > 0 for value in one.parameters())
    poisoned = lesson.scores.clone()
    poisoned[160:] = 1e6
    other = Episode(replace(lesson, scores=poisoned), episode.visible, episode.hidden)
    assert objective.loss(one, other, torch.Generator()) == loss
    terms = [replace(objective, losses=LossWeights(*one_hot)) for one_hot in np.eye(3).tolist()]
    parts = [float(term.loss(one, episode, torch.Generator()).detach()) for term in terms]
    assert min(parts) > 0
    assert float(loss.detach()) == pytest.approx(parts[0] + 0.1 * parts[1] + 0.1 * parts[2], rel=1e-4)


def test_what_is_kept_is_not_seen_in_training():
    spots = replace(stack(side=9, sections=3), is_known=np.ones(243, dtype=bool))
    lesson, _, _ = lesson_of(spots, weights=[(1.0, 1.0)])
    for known in (spots, spots.hide(spots.section > 0)):
        rows = np.flatnonzero(known.is_known)
        part = replace(lesson, rows=torch.from_numpy(rows))
        for fold in range(5):
            training, validation = split_episodes(known, part, LessonOptions(), fold, np.random.default_rng(0))
            assert training
            assert validation
            kept = {int(i) for e in validation for i in e.hidden}
            shown = {int(i) for e in training for i in (*e.visible, *e.hidden)}
            assert not kept & shown
            assert len(kept) + len(shown) == len(rows)
            for e in (*training, *validation):
                assert not {*e.visible.tolist()} & {*e.hidden.tolist()}


def test_a_large_stack_is_learnt_from_in_a_round_patch_through_all_sections():
    spots = replace(stack(side=9, sections=3), is_known=np.ones(243, dtype=bool))
    rows = learnt_rows(spots, spots.is_known, 60, np.random.default_rng(0))
    assert len(rows) == 60
    assert set(spots.section[rows]) == {0, 1, 2}
    middle = spots.xyz_um[rows, :2].mean(axis=0)
    assert np.hypot(*(spots.xyz_um[rows, :2] - middle).T).max() < 450


def test_the_read_out_is_gaussian_conditioning():
    spots = stack(side=8, sections=2, genes=5)
    rng, n = np.random.default_rng(1), len(spots)
    lies_in_place = np.sin(spots.xyz_um[:, :1] / 150.0 + spots.section[:, None])
    expression = spots.features @ rng.normal(size=(4, 5)) + 2.0 * lies_in_place + rng.normal(size=(n, 5))
    spots = replace(
        spots,
        is_known=np.arange(n) % 7 > 0,
        is_placed=np.zeros(n, dtype=bool),
        expression=expression.astype(np.float32),
    )
    columns = spots.features.astype(np.float64) / 2
    found = learn_readout(spots, columns, ModelOptions(n_programs=3))
    known, every = np.flatnonzero(spots.is_known), np.ones(n, dtype=bool)
    mixture, shape = judge_sources(spots, section_blocks(spots, every, 400), found.programs, SPACE_SHAPES[:3])
    assert (mixture.weights > 0).any(axis=0).all()
    field = SpaceCovariance(spots, shape, Fading(0, 0, 1, "prior"))(known, known)
    asked = rng.normal(size=(6, 4))
    scores = found.programs.scores(spots.expression[known])
    for program, (of_place, of_image) in enumerate(mixture.weights):
        total = of_place * field + of_image * columns[known] @ columns[known].T + np.eye(len(known))
        across = of_image * asked @ columns[known].T
        mean = across @ np.linalg.solve(total, scores[:, program])
        np.testing.assert_allclose(found.scores(asked)[:, program], mean, atol=1e-8)
        covariance = of_image * asked @ asked.T - across @ np.linalg.solve(total, across.T)
        np.testing.assert_allclose(asked @ found.doubt[found.kind[program]] @ asked.T, covariance, atol=1e-8)
    _, variance = found.genes(asked)
    assert (variance > found.programs.rest).all()


def per_gene(found, truth, section):
    return np.mean([column_correlation(found[section == s], truth[section == s]).mean() for s in np.unique(section)])


def test_training_finds_what_the_surroundings_show(taught, donors):
    """Planted truth: no spot's own features tell it, and nothing linear does."""
    target, truth = donor(9, known=False)
    found = Asign(model=taught).impute(target)
    reached = per_gene(found.mean, truth, target.section)
    linear = Asign(replace(TAUGHT, n_members=0)).impute(target, training=donors)
    hardly = replace(TAUGHT, train=TrainOptions(epochs=1, learning_rate=1e-9))
    untaught = Asign(hardly).impute(target, training=donors, seed=1)
    shuffled = np.random.default_rng(0).permutation(len(target))
    chance = Asign(model=taught).impute(replace(target, features=target.features[shuffled]))
    assert reached > 0.65
    assert per_gene(linear.mean, truth, target.section) < 0.45
    assert per_gene(untaught.mean, truth, target.section) < reached - 0.2
    assert abs(per_gene(chance.mean, truth, target.section)) < 0.25
    assert taught.losses[0][-1] < taught.losses[0][0]


def test_what_was_taught_helps_where_one_section_is_known(taught, donors):
    target, truth = donor(9, known=False)
    known = target.section == 0
    seen = replace(target, expression=np.where(known[:, None], truth, np.nan).astype(np.float32), is_known=known)
    found, blend = Asign(model=taught).impute(seen), Blend().impute(seen)
    asked = target.section == 1
    assert per_gene(found.mean[asked], truth[asked], target.section[asked]) > 0.5
    assert per_gene(blend.mean[asked], truth[asked], target.section[asked]) < 0.3
    np.testing.assert_allclose(
        found.mean,
        found.parts["image"] + found.parts["propagated"] - seen.expression[known].mean(axis=0),
        atol=1e-5,
    )


def test_a_spot_is_predicted_from_its_own_picture_and_not_from_one_that_is_far(taught):
    whole = donor(9, sections=6)
    seen = whole.hide(whole.section != 0)
    imputer = Asign(model=taught).tuned(seen)
    base = imputer.impute(seen).mean
    here = len(seen) - 1
    features = seen.features.copy()
    features[here] += 2.0
    moved = np.abs(imputer.impute(replace(seen, features=features)).mean - base).max(axis=1)
    assert moved[here] > 1e-3
    # two layers, each of which reaches the next section
    assert moved[seen.section == 3].max() > 1e-6
    assert moved[seen.section < 3].max() < 1e-6


def test_hidden_spots_of_training_stacks_do_not_leak(donors):
    target, _ = donor(9, known=False)
    quick = replace(SMALL, train=TrainOptions(epochs=1, learning_rate=1e-3))
    part = [one.hide(one.section == 1) for one in donors[:2]]
    poisoned = [replace(one, expression=np.where(one.is_known[:, None], one.expression, 99.0)) for one in part]
    first, second = (fit_asign(target, training=stacks, options=quick) for stacks in (part, poisoned))
    np.testing.assert_array_equal(first.readout.effects, second.readout.effects)
    np.testing.assert_array_equal(first.columns(target), second.columns(target))


def test_networks_that_saw_hidden_spots_are_not_used_on_them(donors):
    quick = AsignOptions(
        n_members=1, width=8, heads=2, trains_alone=True, train=TrainOptions(epochs=1, learning_rate=1e-2)
    )
    whole = donors[0]
    tuned = Asign(quick).tuned(whole)
    assert tuned.impute(whole).record["losses"] == Asign(quick).impute(whole).record["losses"]
    block = whole.is_known & (np.arange(len(whole)) % 5 == 0)
    hidden = whole.hide(block)
    np.testing.assert_array_equal(tuned.impute(hidden).mean, Asign(quick).impute(hidden).mean)
    # other training stacks than it was tuned with mean training anew, as when a donor is left out
    other = Asign(quick).tuned(whole, training=donors[1:3])
    left = whole.hide(whole.is_known)
    np.testing.assert_array_equal(
        other.impute(left, training=donors[1:2]).mean, Asign(quick).impute(left, training=donors[1:2]).mean
    )


def test_without_training_stacks_the_networks_keep_their_start(donors):
    known = donors[0].hide(donors[0].section == 1)
    found = Asign(SMALL).impute(known)
    assert found.record["losses"] == [[]]
    assert any("random start" in note for note in found.notes)
    again, other = Asign(SMALL).impute(known, seed=0), Asign(SMALL).impute(known, seed=1)
    np.testing.assert_array_equal(again.mean, found.mean)
    assert np.abs(other.mean - found.mean).max() > 1e-4


def test_without_features_it_is_the_blend(donors):
    bare = replace(donors[0], features=None).hide(donors[0].section == 1)
    np.testing.assert_array_equal(Asign(SMALL).impute(bare).mean, Blend().impute(bare).mean)


def test_spots_without_features_get_the_mean_of_the_training_stacks(taught):
    target, _ = donor(9, known=False)
    features = target.features.copy()
    features[:5] = np.nan
    found = Asign(model=taught).impute(replace(target, features=features))
    np.testing.assert_allclose(found.mean[:5], np.tile(taught.readout.programs.mean, (5, 1)), atol=1e-6)
    np.testing.assert_allclose(found.sd[:5] ** 2, np.tile(taught.readout.spread, (5, 1)), rtol=1e-4)
    assert "5 spots without features" in found.notes[0]


def test_a_saved_model_is_the_same_and_says_what_it_is(taught, tmp_path):
    target, truth = donor(9, known=False)
    save_asign(taught, tmp_path / "model")
    again = load_asign(tmp_path / "model")
    assert again.options == taught.options
    assert (again.genes, again.losses, again.n_features) == (taught.genes, taught.losses, taught.n_features)
    known = target.section == 0
    seen = replace(target, expression=np.where(known[:, None], truth, np.nan).astype(np.float32), is_known=known)
    for spots in (target, seen):
        one, other = Asign(model=again).impute(spots), Asign(model=taught).impute(spots)
        np.testing.assert_allclose(one.mean, other.mean, atol=1e-6)
        np.testing.assert_allclose(one.sd, other.sd, atol=1e-6)
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == ["arrays.safetensors", "asign.json"]


def test_damaged_folders_are_refused(taught, tmp_path):
    save_asign(taught, tmp_path / "model")
    about = tmp_path / "model" / "asign.json"
    content = json.loads(about.read_text())

    def change(match, **changes):
        record = {k: v for k, v in (content | changes).items() if v is not None and k != "sha256"}
        about.write_text(json.dumps(record | {"sha256": sha256_text(canonical_json(record))}))
        with pytest.raises(ModelFormatError, match=match):
            load_asign(tmp_path / "model")

    change("of the form 'other'", format="other")
    change("lacks", genes=None)
    change("depth", options={**content["options"], "depth": 3})
    change("arrays are there for it", options={**content["options"], "layers": 2_000})
    change("n_members|network", options={**content["options"], "n_members": len(taught.networks) + 1})
    about.write_text(json.dumps(content | {"n_features": 1}))
    with pytest.raises(ModelFormatError, match="changed"):
        load_asign(tmp_path / "model")
    about.write_text(json.dumps(content))
    (tmp_path / "model" / "arrays.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelFormatError, match="safetensors"):
        load_asign(tmp_path / "model")


def test_stacks_that_do_not_fit_are_refused(taught, donors):
    target, _ = donor(9, known=False)
    with pytest.raises(InputError, match="Give the model's genes"):
        Asign(model=taught).impute(replace(target, genes=("a", "b", "c", "d")))
    with pytest.raises(InputError, match="reads 3 image features a spot, the stack has 5"):
        Asign(model=taught).impute(replace(target, features=np.zeros((len(target), 5), np.float32)))
    with pytest.raises(InputError, match="there are none"):
        fit_asign(replace(target, features=None), training=[replace(donors[0], features=None)], options=SMALL)
    with pytest.raises(InputError, match="there are none"):
        fit_asign(target, options=SMALL)
    untaught = fit_asign(donors[0], options=SMALL)
    with pytest.raises(InputError, match="without training stacks"):
        Asign(model=untaught).impute(target)


def test_the_verb_takes_it_with_and_without_training_stacks():
    quick = Asign(replace(SMALL, train=TrainOptions(epochs=1)))
    target, other = (section_stack(side=6, genes=6, seed=seed, name=f"donor{seed}") for seed in (0, 1))
    for training in ((), (other,)):
        found = impute(target, known=["s0"], method=quick, genes=6, training=training, baselines=False)
        assert found.shape == (72, 6)
        assert found.uns["imputation"]["method"] == "asign"
        assert np.isfinite(found.X).all()
        assert (found.layers["lower"] < found.layers["upper"]).all()
        assert {"image", "propagated"} <= set(found.layers)
