"""DeepLIFT with the rescale rule, for networks of affine layers and element-wise activations.

Shrikumar, Greenside & Kundaje 2017 (arXiv:1704.02685), section 3.5.1: an activation passes its multiplier on times the
ratio of differences ``(a(h) - a(h0)) / (h - h0)``, an affine layer times its weight. With a rule for every layer,
attributions add up to the change exactly. A layer without a rule is refused by name: passing its gradient on, as is
usual, gives something else than DeepLIFT without a word.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from insignia.attribution.contract import Explained, Method, PathOptions, Target, methods
from insignia.attribution.scored import change_between
from insignia.attribution.sparse_paths import difference, times
from insignia.core.device import widened
from insignia.core.errors import DegenerateTarget, InputError, ModelError
from insignia.models import Encoder, Inputs

__all__ = ["DeepLift"]

ACTIVATIONS = (
    nn.ReLU,
    nn.LeakyReLU,
    nn.PReLU,
    nn.ELU,
    nn.SELU,
    nn.GELU,
    nn.Softplus,
    nn.Sigmoid,
    nn.Tanh,
)
_SAME = 1e-6


class DeepLift(Method):
    """Rescale rule through all layers after the first; one pass for the cell and one for the baseline."""

    def check(self, encoder: Encoder, target: Target) -> None:
        """Refuse a layer without a rule, a normalised embedding, and a target that is not linear."""
        if encoder.is_normalised and not target.is_raw:
            raise DegenerateTarget(
                f"Embeddings of {encoder.name} are normalised, and DeepLIFT has no rule for that. Use "
                "target='self_raw', which scores the embedding before normalisation, or method='integrated_gradients'."
            )
        if not target.is_linear:
            raise DegenerateTarget(
                f"DeepLIFT explains linear targets, and {target.name!r} is not. Use target='self_raw'."
            )
        if encoder.precision == "bf16":
            raise InputError(
                "DeepLIFT divides small differences, of which bfloat16 keeps two digits. Use precision='float32'."
            )
        for name, layer in _layers(encoder):
            if not isinstance(layer, (*ACTIVATIONS, nn.Linear, nn.Dropout, nn.Identity)):
                raise ModelError(
                    f"DeepLIFT has no rule for nn.{type(layer).__name__} (layer {name!r} of {encoder.name}). "
                    "Use method='integrated_gradients'."
                )

    def explain(
        self,
        encoder: Encoder,
        inputs: Inputs,
        baseline: Inputs | None,
        *,
        target: Target,
        options: PathOptions,  # noqa: ARG002 - there is no path to follow
    ) -> Explained:
        """Explain a block of cells."""
        first = encoder.first_layer
        assert first is not None
        bias, rows = encoder.first_bias(inputs.context), first.rows(inputs.values)
        layers = [layer for _, layer in _layers(encoder)]
        cell = _states(rows.project() + bias, layers)
        start = bias if baseline is None else first.rows(baseline.values).project() + bias
        reference = _states(start.expand_as(cell[0]), layers)
        held = target.weights(encoder.embedding(cell[-1]) if not target.is_raw else cell[-1])
        high, low = (target.score(widened(states[-1]), widened(held)) for states in (cell, reference))
        multiplier = _multiplier(cell, reference, layers, target, held)
        moved = inputs.values if baseline is None else difference(inputs.values, baseline.values)
        places = rows if baseline is None else first.rows(moved)
        return Explained(times(moved, places.data, places.back(multiplier)), *change_between(low, high))


def _layers(encoder: Encoder) -> list[tuple[str, nn.Module]]:
    """Name the layers after the first, or refuse a network that is not a plain sequence of them."""
    if encoder.first_layer is None or encoder.tail_layers is None:
        raise ModelError(
            f"DeepLIFT needs a plain sequence of layers, and {encoder.name} is a {type(encoder).__name__}. "
            "Use method='integrated_gradients'."
        )
    return [(str(place), layer) for place, layer in enumerate(encoder.tail_layers, start=1)]


@torch.no_grad()
def _states(hidden: Tensor, layers: Sequence[nn.Module]) -> list[Tensor]:
    """Follow the network: what stands before each layer, and the end."""
    states = [hidden]
    for layer in layers:
        states.append(layer(states[-1]))
    return states


def _multiplier(
    cell: list[Tensor], reference: list[Tensor], layers: Sequence[nn.Module], target: Target, held: Tensor
) -> Tensor:
    """Multiplier of what the first layer gives: (cells, hidden)."""
    end = cell[-1].detach().clone().requires_grad_()
    (multiplier,) = torch.autograd.grad(target.score(end, held).sum(), end)
    for i in range(len(layers) - 1, -1, -1):
        layer = layers[i]
        if isinstance(layer, nn.Linear):
            multiplier = multiplier @ layer.weight
        elif isinstance(layer, ACTIVATIONS):
            multiplier = multiplier * _ratio(layer, cell[i : i + 2], reference[i : i + 2])
    return multiplier


def _ratio(layer: nn.Module, cell: list[Tensor], reference: list[Tensor]) -> Tensor:
    """Ratio of differences of an activation, its slope where the inputs are the same."""
    before = cell[0].detach().clone().requires_grad_()
    (slope,) = torch.autograd.grad(layer(before).sum(), before)
    way = cell[0] - reference[0]
    is_same = way.abs() < _SAME * (1 + cell[0].abs())
    return torch.where(is_same, slope, (cell[1] - reference[1]) / torch.where(is_same, 1.0, way))


methods.add("deeplift", source="arXiv:1704.02685")(DeepLift())
