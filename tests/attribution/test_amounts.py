"""Paths that are straight in counts: log1p acts along the path, and the cells stay sparse on it."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from tests.attribution.conftest import ENCODERS, make_cells, scimilarity_look_alike, smooth_network
from tests.attribution.test_integrated_gradients import without_first_layer
from tests.contracts.cases import CASES, REFUSED, oracle
from tests.lookalikes import scvi

from insignia import models
from insignia.attribution import AttributeOptions, PathOptions, Runner, attribute, find_target, methods
from insignia.core import keys
from insignia.core.errors import AtlasMismatch, InputError, ModelError
from insignia.data import Expression
from insignia.models.gene_transform import LOG1P
from insignia.workflows import add_cells, create_atlas

pytestmark = pytest.mark.filterwarnings("ignore::insignia.core.errors.CompletenessWarning")
TAKEN = [
    case
    for case in CASES
    if (case.family, case.method) not in REFUSED and case.method != "deeplift" and case.encoder.transform is not None
]


@pytest.fixture
def model(tmp_path):
    return models.load(scvi.build(tmp_path / "m"))


def explain(encoder, adata, baseline=None, *, n_steps=50, interpolate="amounts", **options):
    inputs = encoder.inputs(Expression.from_adata(adata, input_space="counts").block(0, adata.n_obs))
    start = None
    if baseline is not None:
        start = encoder.inputs(Expression.from_adata(baseline, input_space="counts").block(0, baseline.n_obs))
    made = PathOptions(n_steps, interpolate=interpolate, **options)
    target = find_target("self").bind(encoder)
    return methods["integrated_gradients"].explain(encoder, inputs, start, target=target, options=made)


@pytest.mark.parametrize("case", TAKEN, ids=str)
def test_it_equals_autograd_through_log1p_for_every_family_that_has_it(case):
    found, _, runner = case.run(interpolate="amounts")
    np.testing.assert_allclose(found, oracle(case, interpolate="amounts"), atol=0.05)
    assert runner.record.interpolate == "amounts"
    exact, _, _ = case.run(interpolate="amounts", precision="float64")
    np.testing.assert_allclose(exact, oracle(case, interpolate="amounts"), atol=1e-3)
    if case.method == "integrated_gradients":
        # the same change is explained by another path, which matters unless the model is linear in log1p; it is steep
        # at its beginning, all the more for amounts that are scaled to 10,000, and takes more steps
        straight, _, _ = case.run()
        assert (np.abs(found - straight).max() > 1) == (case.family != "pca")
        coarse, fine = (np.nanmedian(case.run(interpolate="amounts", n_steps=n)[1].gap) for n in (50, 400))
        assert fine < max(0.5 * coarse, 2e-5)
        assert fine < 0.02


def test_counts_of_scvi_move_as_captum_moves_them(model):
    """Captum integrates over counts through log1p and the published network."""
    captum = pytest.importorskip("captum.attr", reason="Captum is not installed (pip install 'insignia[bench]')")
    adata = scvi.cells()[:-1].copy()
    counts = torch.from_numpy(adata.X.toarray())
    held = model.module(torch.log1p(counts))

    def score(x, weights):
        return (model.module(torch.log1p(x)) * weights).sum(1)

    engine = captum.IntegratedGradients(score)
    expected = engine.attribute(counts, n_steps=50, additional_forward_args=(held,)).detach().numpy()
    found = explain(model, adata).attribution.toarray()
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_cells_stay_sparse_and_each_step_is_one_product(model, monkeypatch):
    from insignia.models import first_layer

    asked = {"project": 0, "back": 0}
    for name in asked:
        original = getattr(first_layer._CompiledRows, name)

        def count(self, given=None, *, name=name, original=original):
            asked[name] += 1
            return original(self, given)

        monkeypatch.setattr(first_layer._CompiledRows, name, count)
    monkeypatch.setattr(type(model), "dense", lambda *_: pytest.fail("cells were made dense"))
    found = explain(model, scvi.cells(), n_steps=7)
    assert asked == {"project": 7 + 2, "back": 7}
    assert (found.attribution.toarray()[scvi.cells().X.toarray() == 0] == 0).all()


@pytest.mark.parametrize("interpolate", ["values", "amounts"])
def test_the_sparse_way_equals_that_through_the_whole_network(cells, interpolate):
    """With and without baselines, in passes of any size; genes of equal value in both ends play their part."""
    equal = cells.copy()
    equal.X = cells.X.toarray()
    equal.X[:, ::2] = np.random.default_rng(0).poisson(1.0, (12, 30))
    for encoder in (scimilarity_look_alike(), smooth_network()):
        for baseline in (None, cells[[3]], make_cells(seed=8), equal):
            fast = explain(encoder, cells, baseline, interpolate=interpolate)
            slow = explain(without_first_layer(encoder), cells, baseline, interpolate=interpolate)
            few = explain(encoder, cells, baseline, interpolate=interpolate, max_values=200)
            scale = np.abs(slow.attribution.toarray()).sum(1).max()
            for found in (fast, few):
                np.testing.assert_allclose(found.attribution.toarray(), slow.attribution.toarray(), atol=1e-5 * scale)
                np.testing.assert_allclose(found.change, slow.change, atol=1e-5)


def test_a_linear_model_of_counts_has_its_known_attribution():
    """With f(x) = w . log1p(x), a gene gets w_g log1p(x_g) w_g, whatever moves: the function acts gene by gene."""
    encoder = ENCODERS["linear"]()
    by_values, by_amounts = (
        explain(encoder, make_cells(), interpolate=how, n_steps=400).attribution.toarray()
        for how in ("values", "amounts")
    )
    np.testing.assert_allclose(by_amounts, by_values, atol=2e-3 * np.abs(by_values).max())


def test_slope_and_inverse_are_those_of_the_function():
    amounts = torch.tensor([0.0, 0.5, 3.0, 2000.0], dtype=torch.float64, requires_grad=True)
    values = LOG1P.apply(amounts)
    (slope,) = torch.autograd.grad(values.sum(), amounts)
    torch.testing.assert_close(LOG1P.slope(amounts.detach()), slope)
    torch.testing.assert_close(LOG1P.inverse(values.detach()), amounts.detach())
    assert LOG1P.apply(torch.zeros(1)) == 0


def test_models_and_methods_without_such_a_function_refuse_it(cells, tmp_path):
    with pytest.raises(ModelError, match="token has none"):
        attribute(cells, ENCODERS["token"](), interpolate="amounts", show_progress=False)
    plain = models.load(scvi.build(tmp_path / "m", attrs=scvi.attributes(settings={"log_variational": False})))
    with pytest.raises(ModelError, match="Use interpolate='values'"):
        attribute(scvi.cells(), plain, interpolate="amounts", show_progress=False)
    with pytest.raises(InputError, match="deeplift follows no path"):
        attribute(cells, smooth_network(), method="deeplift", interpolate="amounts", show_progress=False)
    own = models.TorchEncoder(
        torch.nn.Sequential(torch.nn.Linear(60, 4)), list(cells.var_names), lambda c: csr_matrix(c.matrix), name="own"
    )
    assert own.transform is None


def test_the_record_says_which_path_it_was_and_an_atlas_keeps_to_it(model, tmp_path):
    adata = scvi.cells()
    record = attribute(adata, model, copy=True, show_progress=False).uns[keys.ATTRIBUTION]
    assert record["interpolate"] == "values"
    options = AttributeOptions(path=PathOptions(20, interpolate="amounts"))
    atlas = create_atlas(tmp_path / "atlas", model, options=options)
    constants = {"study": "a", "sample": "s", "disease": "normal", "tissue": "blood", "cell_type": "B"}
    add_cells(atlas, adata, model=model, constants=constants, show_progress=False)
    assert atlas.record.interpolate == "amounts"
    other = attribute(adata, model, n_steps=20, copy=True, show_progress=False)
    with pytest.raises(AtlasMismatch, match="interpolate"):
        add_cells(atlas, other, constants=constants | {"study": "b"}, show_progress=False)


def test_automatic_steps_work_on_it(model):
    adata = scvi.cells()
    expression = Expression.from_adata(adata, input_space="counts")
    options = AttributeOptions(path=PathOptions(0, tolerance=0.02, interpolate="amounts"))
    (block,) = Runner(model, expression, options).blocks(show_progress=False)
    assert np.nanmax(block.gap) <= 0.02
