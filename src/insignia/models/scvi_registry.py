"""What scvi-tools keeps beside the weights: initial parameters, covariates and labels, in plain containers.

A registry is ``{"model_name": ..., "field_registries": {field: {"state_registry": {...}}}}``; before 0.15 it was a
setup dict. Both may hold stand-ins, which are refused where they are needed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from insignia.core.errors import ModelFormatError, UnsafeCheckpoint
from insignia.models.stand_ins import StandIn, as_array, as_plain

__all__ = [
    "Categories",
    "is_text",
    "read_covariates",
    "read_fields",
    "read_labels",
    "read_mapping",
    "read_settings",
    "read_texts",
    "refuse_stand_in",
    "shown",
]

_MODELS = ("SCVI", "SCANVI")
_DEFAULTS: Final[dict[str, Any]] = {
    "log_variational": True,
    "use_layer_norm": "none",
    "batch_representation": "one-hot",
    "extra_encoder_kwargs": None,
    "classifier_parameters": None,
}
_CHOICES: Final[dict[str, tuple[str | bool, ...]]] = {
    "log_variational": (True, False),
    "use_layer_norm": ("none", "encoder", "decoder", "both"),
    "batch_representation": ("one-hot", "embedding"),
}


@dataclass(frozen=True)
class Categories:
    """A categorical covariate: its `obs` column and its categories, in order."""

    column: str
    names: tuple[str, ...]


def read_settings(parameters: Mapping[Any, Any]) -> dict[str, Any]:
    """Find what is needed in ``{"non_kwargs": {...}, "kwargs": {name: {...}}}``, or in a flat dict."""
    further = parameters.get("kwargs")
    settings = dict(_DEFAULTS)
    groups = [parameters, parameters.get("non_kwargs"), *(further.values() if isinstance(further, Mapping) else ())]
    for group in groups:
        if isinstance(group, Mapping):
            settings |= {key: as_plain(group[key]) for key in _DEFAULTS if key in group}
    for key, value in settings.items():
        refuse_stand_in(value, f"the parameter {key!r}")
    for key, choices in _CHOICES.items():
        if not isinstance(settings[key], str | bool) or settings[key] not in choices:
            raise ModelFormatError(f"The parameter {key!r} should be one of {choices}, found {shown(settings[key])}.")
    if settings["extra_encoder_kwargs"]:
        raise ModelFormatError("The encoder was built with extra_encoder_kwargs, which are not supported.")
    return settings


def read_fields(attributes: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Return the state of each registered field, and refuse models of other kinds."""
    if "registry_" not in attributes and "scvi_setup_dict_" in attributes:
        return _legacy_fields(read_mapping(attributes["scvi_setup_dict_"], "scvi_setup_dict_"))
    registry = read_mapping(attributes.get("registry_"), "registry_")
    model = registry.get("model_name", _MODELS[0])
    if model not in _MODELS:
        raise ModelFormatError(f"This is a model {shown(model)} of scvi-tools; only {' and '.join(_MODELS)} are read.")
    fields = read_mapping(registry.get("field_registries"), "field_registries")
    return {name: field.get("state_registry") for name, field in fields.items() if isinstance(field, Mapping)}


def _legacy_fields(setup: Mapping[Any, Any]) -> dict[str, Any]:
    columns = read_mapping(setup.get("categorical_mappings"), "categorical_mappings")
    fields: dict[str, Any] = {}
    for name in ("batch", "labels"):
        column = columns.get(f"_scvi_{name}")
        if isinstance(column, Mapping):
            fields[name] = {"categorical_mapping": column.get("mapping"), "original_key": column.get("original_key")}
    extra = setup.get("extra_categoricals")
    if isinstance(extra, Mapping):
        fields["extra_categorical_covs"] = {"mappings": extra.get("mappings"), "field_keys": extra.get("keys")}
    if "extra_continuous_keys" in setup:
        fields["extra_continuous_covs"] = {"columns": setup["extra_continuous_keys"]}
    return fields


def read_covariates(fields: Mapping[Any, Any]) -> tuple[Categories | None, tuple[Categories, ...], tuple[str, ...]]:
    """Return the batch, the further categorical covariates and the `obs` columns of continuous ones."""
    batch = read_mapping(fields.get("batch", {}), "the field 'batch'")
    found = None
    if "categorical_mapping" in batch:
        (column,) = read_texts([batch.get("original_key")], "the column of batches")
        found = Categories(column, read_texts(batch["categorical_mapping"], "the batches"))
    extra = read_mapping(fields.get("extra_categorical_covs", {}), "the field 'extra_categorical_covs'")
    mappings = read_mapping(extra.get("mappings", {}), "the mappings of covariates")
    columns = read_texts(extra.get("field_keys", []), "the keys of covariates")
    categories = tuple(
        Categories(name, read_texts(mappings.get(name), f"the categories of {name!r}")) for name in columns
    )
    numbers = read_mapping(fields.get("extra_continuous_covs", {}), "the field 'extra_continuous_covs'")
    return found, categories, read_texts(numbers.get("columns", []), "the continuous covariates")


def read_labels(fields: Mapping[Any, Any]) -> tuple[str, ...]:
    """Return the labels in the order of the logits; that of unlabelled cells, which has none, is last."""
    state = read_mapping(fields.get("labels"), "the field 'labels'")
    return read_texts(state.get("categorical_mapping"), "the labels")


def read_texts(value: Any, what: str) -> tuple[str, ...]:
    """Read a list of names, in a list or an array; numbers become texts."""
    array = as_array(value)
    refuse_stand_in(array, what)
    if isinstance(array, np.ndarray) and array.ndim == 1:
        array = array.tolist()
    if not isinstance(array, list | tuple):
        raise ModelFormatError(f"{what} should be a list of names, found {type(value).__name__}.")
    items = [as_plain(item) for item in array]
    for item in items:
        refuse_stand_in(item, what)
        if not (is_text(item) or isinstance(item, float) or (isinstance(item, int) and abs(item) < 2**63)):
            raise ModelFormatError(f"{what} should hold names, found {shown(item)}.")
    return tuple(str(item) for item in items)


def is_text(item: Any) -> bool:
    """Whether this is a text that can be written in UTF-8."""
    try:
        return isinstance(item, str) and item.encode() is not None
    except UnicodeEncodeError:
        return False


def shown(value: Any) -> str:
    """Return a text or a truth value for a message, and of anything else the type."""
    return ascii(value)[:60] if isinstance(value, str | bool) else type(value).__name__


def read_mapping(value: Any, what: str) -> Mapping[Any, Any]:
    """Return a dict, or say what is there in its place."""
    refuse_stand_in(value, what)
    if not isinstance(value, Mapping):
        raise ModelFormatError(f"There should be {what} with named entries, found {type(value).__name__}.")
    return value


def refuse_stand_in(value: Any, what: str) -> None:
    """Raise `UnsafeCheckpoint` with the name of what a needed value would take."""
    if isinstance(value, StandIn):
        raise UnsafeCheckpoint(
            f"{what} needs {ascii(value.named)[1:-1][:120]} to be unpickled, and insignia runs no code from "
            "checkpoints."
        )
