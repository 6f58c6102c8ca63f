"""The families of models, and `load`, which recognises a directory."""

from pathlib import Path
from typing import Protocol

from insignia.core.errors import ModelFormatError
from insignia.core.registry import Registry
from insignia.data import Expression
from insignia.genes import GeneAlignment
from insignia.models.contract import Encoder

__all__ = ["Family", "align", "as_encoder", "families", "load"]


class Family(Protocol):
    """How a family of models is recognised and loaded."""

    needs: str
    """What a directory of this family holds, for messages."""

    def recognises(self, path: Path) -> bool:
        """Whether `path` looks like a model of this family."""

    def load(self, path: Path) -> Encoder:
        """Load the model; `ModelFormatError` says which file or tensor is wrong."""


families: Registry[Family] = Registry("model family", entry_point="insignia.models")


def load(path: str | Path, *, family: str | None = None) -> Encoder:
    """Load a model from a directory.

    Parameters
    ----------
    path
        A directory in the published layout of one of the families.
    family
        Name of the family; `None` recognises it by the files that are there.

    Raises
    ------
    ModelFormatError
        There is no such directory, no family or several families recognise it, or a file in it is damaged.
    UnsafeCheckpoint
        Reading it would run code from the checkpoint.
    """
    path = Path(path)
    if not path.is_dir():
        found = "a file" if path.exists() else "nothing"
        raise ModelFormatError(
            f"A model is a directory; found {found} at {path}. Give the folder that holds the checkpoint."
        )
    if family is not None:
        return families[family].load(path)
    known = {name: families[name] for name in families}
    matches = [name for name, entry in known.items() if entry.recognises(path)]
    if len(matches) == 1:
        return known[matches[0]].load(path)
    names = sorted(item.name for item in path.iterdir())[:8]
    if matches:
        raise ModelFormatError(f"{path} looks like {' and '.join(matches)}. Say which one with family=.")
    layouts = "; ".join(f"{name}: {entry.needs}" for name, entry in known.items())
    raise ModelFormatError(f"No model recognised in {path}, which holds {names}. Known layouts are {layouts}.")


def as_encoder(model: Encoder | str | Path) -> Encoder:
    """Return a loaded model as it is, or load the directory of one."""
    return model if isinstance(model, Encoder) else load(model)


def align(expression: Expression, encoder: Encoder, *, min_overlap: float = 0.05) -> GeneAlignment:
    """Find the genes of the data in a model, or refuse the data.

    Parameters
    ----------
    expression, encoder
        The cells and the model.
    min_overlap
        Share below which the data are refused: of the model's genes, those that the data measure; for a model that
        reads a cell as the list of its expressed genes, of the genes that the cells express, those that it knows.

    Raises
    ------
    GeneMatchError, OrganismMismatch
        As `GeneAlignment`.
    """
    expressed = expression.expressed() if encoder.reads_expressed_genes else None
    return GeneAlignment(expression.genes, encoder.genes, min_overlap=min_overlap, expressed=expressed)
