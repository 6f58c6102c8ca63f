"""The files of an SSL-scTab directory: a Lightning checkpoint, its genes, and names for a classifier's logits."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd
from torch import nn

from insignia.core.errors import DuplicateNames, InputError, ModelFormatError, UnsafeCheckpoint
from insignia.core.files import parse_json
from insignia.genes import GeneVocabulary
from insignia.models.checkpoint import read_lines, read_torch
from insignia.models.restricted_pickle import read_torch_archive
from insignia.models.stand_ins import StandIn, as_tensor

__all__ = ["GENE_FILES", "find_checkpoint", "name_logits", "read_genes", "read_state"]

GENE_FILES: Final = ("var.parquet", "genes.txt", "dataset_genes.txt")
_LABEL_FILES: Final = ("labels.txt", "labels.json")


def find_checkpoint(path: Path) -> Path:
    """Return the one checkpoint of a directory."""
    found = sorted(path.glob("*.ckpt")) if path.is_dir() else []
    if len(found) != 1:
        names = [item.name for item in found] or "none"
        raise ModelFormatError(
            f"{path} should hold one checkpoint (*.ckpt), found {names}. Give each its own folder, with its genes."
        )
    return found[0]


def read_state(source: Path) -> dict[str, Any]:
    """Read the weights; other objects that Lightning saved beside them are neither made nor run."""
    try:
        content: Mapping[Any, Any] = read_torch(source)
    except UnsafeCheckpoint:
        content = _read_inert(source)
    state = content.get("state_dict", content)
    if isinstance(state, StandIn):
        raise _unsafe(source, "state_dict", state)
    if not isinstance(state, Mapping):
        raise ModelFormatError(f"{source}: state_dict should be a dict of tensors, found {type(state).__name__}.")
    tensors = {str(name): as_tensor(value) for name, value in state.items()}
    for name, value in tensors.items():
        if isinstance(value, StandIn):
            raise _unsafe(source, f"the tensor {name!r}", value)
    return tensors


def _read_inert(source: Path) -> Mapping[Any, Any]:
    try:
        content = read_torch_archive(source)
    except UnsafeCheckpoint as error:
        raise UnsafeCheckpoint(f"{error} {_how_to_convert(source)}") from error
    if isinstance(content, StandIn):
        raise _unsafe(source, "the whole file", content)
    if not isinstance(content, Mapping):
        raise ModelFormatError(f"{source} should hold a dict, found {type(content).__name__}.")
    return content


def _unsafe(source: Path, what: str, value: StandIn) -> UnsafeCheckpoint:
    return UnsafeCheckpoint(
        f"{source}: {what} needs {ascii(value.named)[1:-1][:120]} to be unpickled, and insignia runs no code from "
        f"checkpoints. {_how_to_convert(source)}"
    )


def _how_to_convert(source: Path) -> str:
    return (
        f"Convert it once, where you trust the file: state = torch.load({source.name!r}, weights_only=False)"
        f"['state_dict']; torch.save({{'state_dict': state}}, {source.name!r})."
    )


def name_logits(path: Path, given: Sequence[str] | None, head: nn.Linear | None) -> tuple[str, ...]:
    """Name the logits: as given, as a file beside the checkpoint says, or by their numbers."""
    if head is None:
        if given is not None:
            raise InputError(f"{path} holds no classifier, and {len(given):,} labels are given. Leave them out.")
        return ()
    listed = next((name for name in _LABEL_FILES if (path / name).is_file()), None)
    if given is not None:
        names, where = tuple(given), "labels="
    elif listed is not None:
        names, where = _read_labels(path / listed), str(path / listed)
    else:
        return tuple(str(i) for i in range(head.out_features))
    if len(names) != head.out_features or len(set(names)) < len(names):
        raise ModelFormatError(
            f"{where} names {len(set(names)):,} different labels, and the classifier has {head.out_features:,} logits. "
            "List one name for each, in order."
        )
    return names


def _read_labels(path: Path) -> tuple[str, ...]:
    if path.suffix == ".txt":
        return tuple(read_lines(path))
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
        names = [content[str(i)] for i in range(len(content))] if isinstance(content, dict) else content
    except (ValueError, KeyError) as error:
        raise ModelFormatError(f"{path} should be a list of names, or name each number from 0 ({error!r}).") from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ModelFormatError(f"{path} should be a list of names, or name each number from 0.")
    return tuple(names)


def read_genes(path: Path) -> tuple[GeneVocabulary, str]:
    """Read the genes, in the order of the network's inputs, and say from which file."""
    listed = next((name for name in GENE_FILES if (path / name).is_file()), None)
    if listed is None:
        raise ModelFormatError(f"{path} should hold the network's genes in one of {list(GENE_FILES)}; found none.")
    if listed == "var.parquet":
        try:
            var = pd.read_parquet(path / listed)
        except Exception as error:
            raise ModelFormatError(f"{path / listed} is not a readable Parquet table ({error}).") from error
        genes = GeneVocabulary.from_var(var)
    else:
        genes = GeneVocabulary.from_names(read_lines(path / listed))
    names = pd.Index(genes.labels if genes.ids is None else genes.ids)
    repeated = names[names.duplicated() & (names != "")]
    if len(repeated):
        raise DuplicateNames(f"{path / listed} lists {len(repeated)} genes twice, e.g. {list(repeated[:3])}.")
    return genes, listed
