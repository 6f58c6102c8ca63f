"""The layers of an scVI encoder and of scANVI's classifier, from their weights.

Layers are numbered; in each stand Linear (0), batch norm (1), layer norm (2), ReLU (3) and dropout, and a norm that is
absent leaves its number free. Sizes come from the weights.
"""

import re

from torch import Tensor, nn

from insignia.core.errors import ModelFormatError
from insignia.models.checkpoint import need_tensor
from insignia.models.mlp import affine, fold_batch_norm
from insignia.models.scvi_checkpoint import SCVICheckpoint
from insignia.models.scvi_covariates import Covariates, CovariateShift

__all__ = ["classifier_layers", "encoder_layers"]

_BATCH_NORM_EPS = 1e-3
_NORM = ("weight", "bias", "running_mean", "running_var")


def encoder_layers(checkpoint: SCVICheckpoint, covariates: Covariates) -> tuple[list[nn.Module], CovariateShift | None]:
    """Return the layers after covariates are split off, and what covariates add to the first of them."""
    layers: list[nn.Module] = []
    first = None
    width = len(checkpoint.genes)
    for i, layer in enumerate(_hidden_layers(checkpoint, "z_encoder.encoder")):
        extra = layer.in_features - width
        expected = covariates.n_deep if i else covariates.n_first
        if extra not in {0, expected} or (i and first is None and extra):
            raise ModelFormatError(
                f"{checkpoint.source}: layer {i} reads {layer.in_features:,} values, and there are {width:,} "
                f"{'hidden units' if i else 'genes'} and {expected:,} values of covariates ({covariates.columns}). "
                "Take var_names, registry_ and weights from the same model."
            )
        weight = layer.weight.data
        layers.append(affine(weight[:, :width], layer.bias.data))
        if extra and i:
            layers.append(covariates.deep(weight[:, width:]))
        elif extra:
            first = covariates.first(weight[:, width:])
        layers += _after(checkpoint, layer.out_features)
        width = layer.out_features
    layers.append(_linear(checkpoint, "z_encoder.mean_encoder", width))
    return layers, first


def classifier_layers(checkpoint: SCVICheckpoint) -> tuple[nn.Sequential | None, int]:
    """Return the classifier of scANVI, from embedding to logits, and how many it gives, if there is one."""
    if not checkpoint.labels:
        return None, 0
    layers: list[nn.Module] = []
    width = len(_tensor(checkpoint, "z_encoder.mean_encoder.weight", None))
    is_linear = "classifier.classifier.0.weight" in checkpoint.weights
    for layer in [] if is_linear else _hidden_layers(checkpoint, "classifier.classifier.0"):
        _check_width(checkpoint, "the classifier", layer, width)
        layers += [layer, *_after(checkpoint, layer.out_features)]
        width = layer.out_features
    last = _linear(checkpoint, f"classifier.classifier.{0 if is_linear else 1}", width)
    if last.out_features > len(checkpoint.labels):
        raise ModelFormatError(
            f"{checkpoint.source}: the classifier gives {last.out_features} logits, and there are "
            f"{len(checkpoint.labels)} labels."
        )
    return nn.Sequential(*layers, last).eval().requires_grad_(False), last.out_features


def _hidden_layers(checkpoint: SCVICheckpoint, prefix: str) -> list[nn.Linear]:
    """Return the linear layers of a stack, in order, with the batch norms folded into them."""
    pattern = re.compile(rf"{re.escape(prefix)}\.fc_layers\.Layer (\d{{1,4}})\.0\.weight")
    numbers = {int(found.group(1)) for key in checkpoint.weights if (found := pattern.fullmatch(key))}
    if not numbers or numbers != set(range(len(numbers))):
        raise ModelFormatError(
            f"{checkpoint.source} should hold 'Layer 0', 'Layer 1', ... of {prefix}; found {sorted(numbers)}."
        )
    layers = []
    for i in range(len(numbers)):
        name = f"{prefix}.fc_layers.Layer {i}"
        layer = _linear(checkpoint, f"{name}.0")
        if any(key.startswith(f"{name}.1.") for key in checkpoint.weights):
            norm = {part: _tensor(checkpoint, f"{name}.1.{part}", (layer.out_features,)).double() for part in _NORM}
            folded = fold_batch_norm(layer.weight.data.double(), layer.bias.data.double(), norm, _BATCH_NORM_EPS)
            layer = affine(folded.weight.data.float(), folded.bias.data.float())
        layers.append(layer)
    return layers


def _after(checkpoint: SCVICheckpoint, width: int) -> list[nn.Module]:
    """Return what follows a hidden layer: a layer norm, which has no weights, and ReLU."""
    norm = [nn.LayerNorm(width, elementwise_affine=False)] if checkpoint.has_layer_norm else []
    return [*norm, nn.ReLU()]


def _linear(checkpoint: SCVICheckpoint, name: str, width: int | None = None) -> nn.Linear:
    weight = _tensor(checkpoint, f"{name}.weight", None)
    layer = affine(weight, _tensor(checkpoint, f"{name}.bias", weight.shape[:1]))
    if width is not None:
        _check_width(checkpoint, name, layer, width)
    return layer


def _check_width(checkpoint: SCVICheckpoint, name: str, layer: nn.Linear, width: int) -> None:
    if layer.in_features != width:
        raise ModelFormatError(
            f"{checkpoint.source}: {name} reads {layer.in_features} values, and the layer before gives {width}."
        )


def _tensor(checkpoint: SCVICheckpoint, key: str, shape: tuple[int, ...] | None) -> Tensor:
    """Return a tensor of this shape, or, with `None`, a matrix that is not empty."""
    tensor = need_tensor(dict(checkpoint.weights), key, checkpoint.source)
    if tensor.shape != shape if shape is not None else tensor.ndim != 2 or not tensor.numel():
        wanted = "a matrix" if shape is None else f"of shape {tuple(shape)}"
        raise ModelFormatError(f"{checkpoint.source}: {key!r} should be {wanted}, found shape {tuple(tensor.shape)}.")
    return tensor
