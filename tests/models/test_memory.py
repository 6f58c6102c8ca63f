"""What a pass may hold is measured on one row, and kept to."""

import pytest
import torch
from tests.attribution.conftest import make_cells
from tests.lookalikes import geneformer, scfoundation, scgpt
from torch import nn

from insignia import models
from insignia.attribution import PathOptions, find_target, methods
from insignia.data import Expression
from insignia.models import align
from insignia.models.memory import rows_per_pass

TOKENS = {"geneformer": geneformer, "scfoundation": scfoundation, "scgpt": scgpt}


def network(*layers):
    module = nn.Sequential(*layers).requires_grad_(False)
    return module, lambda point, context: module(point)


def test_it_counts_what_autograd_keeps_of_a_row_and_no_parameters():
    module, read = network(nn.Linear(100, 300), nn.Tanh(), nn.Linear(300, 5), nn.Tanh())
    # the two outputs of tanh are kept for the way back
    assert rows_per_pass(read, torch.ones(1, 100), {}, held=module, max_values=305 * 20) == 20
    assert rows_per_pass(read, torch.ones(1, 100), {}, held=module, max_values=304) == 1
    # a row that is a view of many, and is kept itself, counts as one
    wide = torch.ones(50, 300)
    module, read = network(nn.PReLU(), nn.Linear(300, 5), nn.Tanh())
    assert rows_per_pass(read, wide[:1], {}, held=module, max_values=305 * 20) == 20
    module, read = network(nn.Linear(100, 5), nn.Tanh())
    assert rows_per_pass(read, torch.ones(1, 100), {}, held=module, max_values=1000) == 10


def test_attention_that_keeps_all_pairs_of_tokens_counts_them():
    """As where a device has no kernel that computes them again: the measure follows what really happens."""
    nothing = nn.Module()

    def frugal(x, _):
        return nn.functional.scaled_dot_product_attention(x, x, x)

    def lavish(x, _):
        return torch.softmax(x @ x.transpose(2, 3), -1) @ x

    point = torch.rand(1, 1, 200, 4)
    rows = {read: rows_per_pass(read, point, {}, held=nothing, max_values=10**6) for read in (frugal, lavish)}
    assert rows[frugal] > 10 * rows[lavish]


@pytest.mark.parametrize("family", TOKENS)
def test_no_pass_of_a_token_model_keeps_more_than_its_bound(tmp_path, monkeypatch, family):
    """Counted again in each pass by other means: all tensors that autograd saves, one by one."""
    encoder, adata = models.load(TOKENS[family].build(tmp_path / "m")), TOKENS[family].cells()
    expression = Expression.from_adata(adata, input_space="counts")
    inputs = encoder.inputs(expression.block(0, 12).aligned(align(expression, encoder)))
    bound = 60_000
    assert 2 < encoder.points_per_pass(inputs, bound) < 12 * 20
    passes = []
    forward = type(encoder).forward

    def watch(self, point, context):
        if torch.is_grad_enabled():
            passes.append((point.detach().clone(), context))
        return forward(self, point, context)

    with monkeypatch.context() as patch:
        patch.setattr(type(encoder), "forward", watch)
        options = PathOptions(20, max_values=bound)
        methods["integrated_gradients"].explain(encoder, inputs, None, target=find_target("self"), options=options)
    assert max(kept_by(encoder, *one) for one in passes) <= bound
    assert max(len(point) for point, _ in passes) > 2


def kept_by(encoder, point, context):
    saved = {}

    def note(tensor):
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes() // 4
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        out = encoder.forward(point.requires_grad_(), context)
    parameters = {tensor.untyped_storage().data_ptr() for tensor in encoder.module.parameters()}
    del out
    return sum(size for place, size in saved.items() if place not in parameters)


def test_long_cells_do_not_pad_short_ones(tmp_path):
    """Cells go through in groups of like length, and each group is as long as its longest."""
    encoder = models.load(scfoundation.build(tmp_path / "m"))
    adata = make_cells(40)
    inputs = encoder.inputs(Expression.from_adata(adata, input_space="counts").block(0, 40))
    groups = list(inputs.groups(8))
    assert sorted(cell for group in groups for cell in group) == list(range(40))
    widths = [encoder.path(inputs.rows(group), None).end.shape[1] for group in groups]
    lengths = (adata.X > 0).sum(1).A1 if hasattr((adata.X > 0).sum(1), "A1") else (adata.X > 0).sum(1)
    assert widths == sorted(widths)
    assert widths[0] < widths[-1] == lengths.max()
