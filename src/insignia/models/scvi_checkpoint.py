"""What an scvi-tools directory says about its encoder, read without running anything from it.

Layouts: since 0.15 one torch file, ``[prefix]model.pt``; before, ``[prefix]model_params.pt``, ``[prefix]var_names.csv``
and ``[prefix]attr.pkl`` (source: the files that scvi-tools 1.4 writes and converts, doi:10.1038/s41587-021-01206-w).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from insignia.core.errors import ModelFormatError, UnsafeCheckpoint
from insignia.models.checkpoint import read_lines
from insignia.models.restricted_pickle import read_pickle, read_torch_archive
from insignia.models.scvi_registry import (
    Categories,
    read_covariates,
    read_fields,
    read_labels,
    read_mapping,
    read_settings,
    read_texts,
    refuse_stand_in,
    shown,
)
from insignia.models.stand_ins import as_tensor

__all__ = ["SCVICheckpoint", "find_layout", "read_checkpoint"]

_WANTED = ("z_encoder.encoder.", "z_encoder.mean_encoder.", "classifier.", "_embeddings_dict.batch.")
_FIRST = "z_encoder.encoder.fc_layers.Layer 0.0.weight"
_CLASSIFIER = {"dropout_rate", "logits", "n_hidden", "n_layers", "use_batch_norm"}
_LEGACY = ("model_params.pt", "var_names.csv", "attr.pkl")


@dataclass(frozen=True)
class SCVICheckpoint:
    """What the encoder needs of a checkpoint.

    Parameters
    ----------
    source
        The file of the weights, for messages.
    weights
        float32 tensors of the encoder, of the classifier and of the embedding of batches, under the published names.
    genes
        One name per input gene.
    takes_log, has_layer_norm, embeds_batch
        What the weights do not show: whether the encoder reads log1p of counts, whether a layer norm (which has no
        weights) follows its hidden layers, and whether it would read the batch as a vector instead of one-hot.
    batch, categories, continuous
        The covariates that the first layer reads, if it is wider than the genes.
    labels
        What the classifier tells apart.
    """

    source: Path
    weights: dict[str, Tensor]
    genes: tuple[str, ...]
    takes_log: bool = True
    has_layer_norm: bool = False
    embeds_batch: bool = False
    batch: Categories | None = None
    categories: tuple[Categories, ...] = ()
    continuous: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


def find_layout(path: Path) -> tuple[str, str] | None:
    """Return the layout of a directory, ``"current"`` or ``"legacy"``, and the prefix of its files.

    ``vocab.json`` beside ``best_model.pt`` is another model's.

    Raises
    ------
    ModelFormatError
        It holds several models.
    """
    names = {item.name for item in path.iterdir()}
    current = sorted(name.removesuffix("model.pt") for name in names if name.endswith("model.pt"))
    if current and "vocab.json" not in names:
        if len(current) > 1:
            raise ModelFormatError(
                f"{path} holds {len(current)} models, with the prefixes {current[:4]}. Give each a folder of its own."
            )
        return "current", current[0]
    for name in sorted(names):
        prefix = name.removesuffix(_LEGACY[0])
        if name.endswith(_LEGACY[0]) and {f"{prefix}{other}" for other in _LEGACY} <= names:
            return "legacy", prefix
    return None


def read_checkpoint(
    path: Path,
    *,
    load_torch: Callable[[Path], Any] = read_torch_archive,
    load_pickle: Callable[[Path], Any] = read_pickle,
) -> SCVICheckpoint:
    """Read the directory of an SCVI or SCANVI model.

    Parameters
    ----------
    path
        The directory.
    load_torch, load_pickle
        How its files are read; by default without running anything from them.

    Raises
    ------
    ModelFormatError
        A file or an entry is missing or not what it should be.
    UnsafeCheckpoint
        Something that is needed can only be read by running code from the checkpoint.
    """
    found = find_layout(path) if path.is_dir() else None
    if found is None:
        raise ModelFormatError(
            f"{path} should be a directory with model.pt, or with {', '.join(_LEGACY)}; found "
            f"{sorted(item.name for item in path.iterdir())[:8] if path.is_dir() else 'none'}."
        )
    layout, prefix = found
    source = path / f"{prefix}{'model.pt' if layout == 'current' else _LEGACY[0]}"
    try:
        content = load_torch(source)
        if layout == "current":
            content = read_mapping(content, "a dict")
            names, attributes = content.get("var_names"), read_mapping(content.get("attr_dict"), "attr_dict")
            state = content.get("model_state_dict")
        else:
            names, state = read_lines(path / f"{prefix}{_LEGACY[1]}"), content
            attributes = read_mapping(load_pickle(path / f"{prefix}{_LEGACY[2]}"), "attr.pkl")
        return _checkpoint(source, read_mapping(state, "model_state_dict"), _genes(names), attributes)
    except UnsafeCheckpoint as error:
        raise UnsafeCheckpoint(
            f"{_placed(error, source)} Where scvi-tools is installed and you trust the file, convert it once: "
            f"insignia model convert {path} -o OUT --trust"
        ) from error
    except ModelFormatError as error:
        raise ModelFormatError(_placed(error, source)) from error


def _placed(error: Exception, source: Path) -> str:
    """Return the message of an error, with the file that it is about in front."""
    return str(error) if str(error).startswith(str(source.parent)) else f"{source}: {error}"


def _checkpoint(
    source: Path, state: Mapping[Any, Any], genes: tuple[str, ...], attributes: Mapping[Any, Any]
) -> SCVICheckpoint:
    fields = read_fields(attributes)
    weights = {key: _weight(key, value) for key, value in state.items() if _is_wanted(key)}
    if _FIRST not in weights or weights[_FIRST].ndim != 2:
        raise ModelFormatError(f"There is no matrix {_FIRST!r} among the weights; found {_names(state)}.")
    settings = read_settings(read_mapping(attributes.get("init_params_"), "init_params_"))
    is_wide = weights[_FIRST].shape[1] != len(genes)
    batch, categories, continuous = read_covariates(fields) if is_wide else (None, (), ())
    return SCVICheckpoint(
        source,
        weights,
        genes,
        takes_log=settings["log_variational"],
        has_layer_norm=settings["use_layer_norm"] in ("encoder", "both"),
        embeds_batch=settings["batch_representation"] == "embedding",
        batch=batch,
        categories=categories,
        continuous=continuous,
        labels=read_labels(fields) if _has_classifier(weights, settings["classifier_parameters"]) else (),
    )


def _is_wanted(key: Any) -> bool:
    is_name = isinstance(key, str) and key.isascii()
    return is_name and key.startswith(_WANTED) and not key.endswith("num_batches_tracked")


def _has_classifier(weights: Mapping[str, Tensor], parameters: Any) -> bool:
    """Whether there is a classifier, and one of the usual kind."""
    is_usual = not parameters or (isinstance(parameters, Mapping) and set(parameters) <= _CLASSIFIER)
    return is_usual and any(key.startswith("classifier.classifier.") for key in weights)


def _weight(key: str, value: Any) -> Tensor:
    tensor = as_tensor(value)
    refuse_stand_in(tensor, f"the tensor {key!r}")
    if not (isinstance(tensor, Tensor) and tensor.is_floating_point() and tensor.ndim <= 2):
        raise ModelFormatError(f"{key!r} should be a vector or matrix of floats, found {type(tensor).__name__}.")
    return tensor.detach().float().contiguous()


def _genes(value: Any) -> tuple[str, ...]:
    if isinstance(value, Mapping):
        raise ModelFormatError(
            f"var_names are those of {len(value)} modalities, {_names(value)}. Only SCVI and SCANVI models are read."
        )
    return read_texts(value, "var_names")


def _names(content: Mapping[Any, Any]) -> list[str]:
    return sorted(shown(key) for key in content)[:6]
