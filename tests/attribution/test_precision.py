"""float64 to check with, and bfloat16 whose error is told."""

import json

import numpy as np
import pytest
from tests.attribution.conftest import ENCODERS, make_cells, scimilarity_look_alike, smooth_network, vocabulary
from tests.contracts.cases import CASES, REFUSED
from typer.testing import CliRunner

from insignia.attribution import AttributeOptions, PathOptions, Runner, attribute, methods, write_part
from insignia.attribution.precision import PrecisionCheck
from insignia.cli.main import app
from insignia.core import keys
from insignia.core.errors import CompletenessWarning, InputError
from insignia.data import AttributionRecord, Expression, read
from insignia.models import fakes
from insignia.workflows import attribute_shards, estimate_attribution

pytestmark = pytest.mark.filterwarnings("ignore::insignia.core.errors.CompletenessWarning")
TAKEN = [case for case in CASES if (case.family, case.method) not in REFUSED and case.method != "deeplift"]


def scaled(adata, encoder, **options):
    result = attribute(adata, encoder, signed=True, show_progress=False, copy=True, **options)
    return result.layers[keys.ATTRIBUTION].toarray(), result.uns[keys.ATTRIBUTION]


@pytest.mark.parametrize("case", TAKEN, ids=str)
def test_the_error_of_bfloat16_is_what_is_reported(case):
    """Rows of 1,000 beside those of float32, for every family; and the tail has really been in bfloat16."""
    found, _, runner = case.run(precision="bf16", n_steps=10)
    expected, _, _ = case.run(n_steps=10)
    moved = np.abs(found - expected).sum(1) / 1000
    moved = moved[np.abs(expected).sum(1) > 0]
    facts = runner.facts
    assert facts["precision_cells"] == len(moved)
    assert facts["precision_error"] == pytest.approx(np.median(moved), rel=1e-3, abs=1e-6)
    assert facts["precision_error_worst"] == pytest.approx(moved.max(), rel=1e-3, abs=1e-6)
    # PCA has nothing after its first layer; of the others something is rounded, and less than a tenth goes elsewhere
    assert (facts["precision_error"] > 1e-4) == (case.family != "pca")
    assert facts["precision_error"] < 0.1


def test_scores_at_the_ends_stay_in_float32(cells):
    """So that the gap tells of the gradients, and is not made of rounded scores."""
    encoder = scimilarity_look_alike()
    results = {
        name: attribute(cells, encoder, precision=name, copy=True, show_progress=False)
        for name in ("float32", "bf16", "float64")
    }
    gaps = {name: np.nanmedian(result.obs[keys.gap()]) for name, result in results.items()}
    assert gaps["float32"] == pytest.approx(gaps["float64"], rel=0.05)
    assert gaps["bf16"] < 0.02


def test_float64_reports_how_far_float32_is(cells):
    found, facts = scaled(cells, smooth_network(), precision="float64")
    expected, plain = scaled(cells, smooth_network())
    np.testing.assert_allclose(found, expected, atol=0.01)
    assert 0 < facts["precision_error"] < 1e-5
    assert (facts["precision"], plain["precision"]) == ("float64", "float32")
    assert "precision_error" not in plain
    assert facts["device"] == plain["device"] == "cpu"


def test_cells_of_all_blocks_are_compared(monkeypatch):
    adata = make_cells(130)
    expression = Expression.from_adata(adata, input_space="counts")
    compared = []
    compare = PrecisionCheck.compare

    def watch(self, explained, inputs, baseline):
        before = len(self.differences)
        compare(self, explained, inputs, baseline)
        compared.append(len(self.differences) - before)

    monkeypatch.setattr(PrecisionCheck, "compare", watch)
    for baseline in (None, make_cells(130, seed=8).X):
        options = AttributeOptions(precision="bf16", block_size=50, baseline=baseline)
        runner = Runner(smooth_network(), expression, options)
        assert len(list(runner.blocks(show_progress=False))) == 3
        # each cell is compared with itself
        assert runner.facts["precision_error_worst"] < 0.1
    # 22 of each block of 50, and of the last 30 but its empty cell, whose baseline is empty too
    assert compared == [22, 22, 21] * 2
    assert runner.facts["precision_cells"] == 65


def test_matched_baselines_are_compared_with_their_own_cells(cells):
    matched = make_cells(seed=8).X
    _, facts = scaled(cells, smooth_network(), precision="float64", baseline=matched)
    assert facts["precision_error_worst"] < 1e-4


def test_combinations_that_make_no_sense_are_refused(cells):
    encoder = scimilarity_look_alike()
    refusals = [
        ({"precision": "bf16", "method": "deeplift", "target": "self_raw"}, "DeepLIFT divides small differences"),
        ({"precision": "bf16", "n_steps": "auto"}, r"not fine enough for n_steps='auto'"),
        ({"precision": "float16"}, "precision is one of float32, float64, bf16; found 'float16'"),
    ]
    for options, message in refusals:
        with pytest.raises(InputError, match=message):
            attribute(cells, encoder, show_progress=False, **options)
    attribute(cells, encoder, precision="float64", n_steps="auto", show_progress=False)


def test_steps_are_recorded_for_methods_that_take_them(cells):
    for method in sorted(set(methods) - {"expected_gradients"}):
        _, facts = scaled(cells, smooth_network(), method=method)
        assert facts["n_steps"] == (50 if methods[method].follows_path else 0)


def test_another_precision_is_another_record(cells):
    encoder = smooth_network()
    records = [AttributionRecord.from_dict(scaled(cells, encoder, precision=p)[1]) for p in ("float32", "bf16")]
    assert records[0].differences(records[1]) == ["precision"]
    older = {name: value for name, value in records[0].to_dict().items() if name not in ("precision", "interpolate")}
    assert AttributionRecord.from_dict(older) == records[0]


def test_parts_shards_and_dry_runs_tell_it_too(cells, tmp_path):
    encoder, source = scimilarity_look_alike(), tmp_path / "cells.h5ad"
    cells.write_h5ad(source)
    options = AttributeOptions(precision="bf16", path=PathOptions(20))
    runner = Runner(encoder, Expression.from_adata(cells), options)
    write_part(runner, cells.var, tmp_path / "part.h5ad", show_progress=False)
    facts = read(tmp_path / "part.h5ad").uns[keys.ATTRIBUTION]
    assert 1e-4 < facts["precision_error"] < 0.1
    report = attribute_shards(source, encoder, tmp_path / "parts", n_shards=3, options=options, show_progress=False)
    worst = [read(path).uns[keys.ATTRIBUTION]["precision_error_worst"] for path in report.folder.glob("*.h5ad")]
    assert report.precision_error == max(worst)
    plain = attribute_shards(source, encoder, tmp_path / "plain", n_shards=2, show_progress=False)
    assert plain.precision_error is None
    estimate = estimate_attribution(source, encoder, options=options)
    assert 0 < estimate.precision_error < 0.1
    assert estimate_attribution(source, encoder).precision_error is None


def test_the_command_line_tells_it(tmp_path, cells):
    from tests.lookalikes import scimilarity

    folder, source = scimilarity.build(tmp_path / "m"), tmp_path / "cells.h5ad"
    cells.write_h5ad(source)

    def run(*words):
        command = [
            "attribute",
            str(source),
            "-m",
            str(folder),
            "-o",
            str(tmp_path / "out.h5ad"),
            "--overwrite",
            "--json",
            *words,
        ]
        result = CliRunner().invoke(app, command, catch_exceptions=False)
        assert result.exit_code == 0
        return json.loads(result.stdout.splitlines()[-1])

    found = run("--precision", "bf16", "--device", "cpu")
    assert found["device"] == "cpu"
    assert 0 < found["precision_error"] <= found["precision_error_worst"] < 0.2
    assert "precision_error" not in run("--interpolate", "amounts")
    dry = run("--precision", "float64", "--dry-run")
    assert 0 <= dry["precision_error"] < 1e-4
    with pytest.raises(InputError, match="no device 'cuda:7' here"):
        run("--device", "cuda:7")


@pytest.mark.filterwarnings("default")
def test_a_warning_of_gaps_says_what_it_did(cells):
    encoder = ENCODERS["deep"]()
    with pytest.warns(CompletenessWarning, match="Raise n_steps"):
        attribute(cells, encoder, n_steps=2, precision="float64", show_progress=False)


def test_a_linear_model_has_no_rounding_of_its_own_in_float64(cells):
    """T1 to many digits: x * (W^T w)."""
    encoder, cells = fakes.linear_encoder(vocabulary()), cells[:-1].copy()
    x = encoder.prepare(Expression.from_adata(cells).block(0, 11)).values.toarray().astype(np.float64)
    W = encoder.first_layer.weight.numpy().astype(np.float64)
    expected = x * (x @ W.T @ W)
    runner = Runner(encoder, Expression.from_adata(cells), AttributeOptions(precision="float64", signed=True))
    (block,) = runner.blocks(show_progress=False)
    sums = np.abs(expected).sum(1, keepdims=True)
    np.testing.assert_allclose(block.attribution.toarray(), expected / sums * 1000, rtol=1e-6, atol=1e-4)
    np.testing.assert_allclose(block.total, sums.ravel(), rtol=1e-12)
