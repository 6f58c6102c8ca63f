"""What `Atlas.add` takes: attributed cells in memory, in files, or in folders of parts, opened only while read."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from anndata import AnnData

from insignia.core.errors import FileFormatError, InputError
from insignia.core.files import sha256_file
from insignia.data import Attributed, read

__all__ = ["Source", "Sources", "find_sources"]

Sources: TypeAlias = "AnnData | str | Path | Source | Sequence[AnnData | str | Path | Source]"


@dataclass(frozen=True, eq=False)
class Source:
    """One AnnData or file of attributed cells; files are closed again after each pass over them."""

    thing: AnnData | Path
    key: str
    n_genes: int

    @property
    def name(self) -> str:
        """Name for messages and for the record, without folders."""
        return self.thing.name if isinstance(self.thing, Path) else "in memory"

    def origin(self) -> dict[str, str]:
        """Name and, for a file, hash: what the manifest keeps about it."""
        if isinstance(self.thing, Path) and self.thing.is_file():
            return {"name": self.name, "sha256": sha256_file(self.thing)}
        return {"name": self.name}

    @contextmanager
    def opened(self) -> Iterator[Attributed]:
        """Give the attributed cells, in the gene order of the model, for as long as the body runs."""
        if isinstance(self.thing, AnnData):
            yield self._attributed(self.thing)
            return
        adata = read(self.thing, backed=True)
        try:
            yield self._attributed(adata)
        finally:
            _close(adata.layers.get(self.key))

    def _attributed(self, adata: AnnData) -> Attributed:
        try:
            return Attributed.from_adata(adata, key=self.key, n_genes=self.n_genes)
        except InputError as error:
            error.add_note(f"While reading {self.name}.")
            raise


def find_sources(things: Sources, *, key: str, n_genes: int) -> list[Source]:
    """List the sources of an addition; a folder stands for the `.h5ad` parts in it.

    Raises
    ------
    FileFormatError
        A path does not exist, or a folder holds no `.h5ad` file.
    InputError
        There is no source, or one is of another kind.
    """
    listed = [things] if isinstance(things, AnnData | str | Path | Source) else list(things)
    if not listed:
        raise InputError("There is nothing to add: the list of sources is empty.")
    found: list[Source] = []
    for thing in listed:
        if isinstance(thing, Source):
            found.append(thing)
        elif isinstance(thing, AnnData):
            found.append(Source(thing, key, n_genes))
        elif isinstance(thing, str | Path):
            found.extend(Source(path, key, n_genes) for path in _files(Path(thing)))
        else:
            raise InputError(
                f"An atlas takes attributed AnnData or paths of .h5ad files; found {type(thing).__name__}."
            )
    return found


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise FileFormatError(f"{path} does not exist; expected an attributed .h5ad file or a folder of them.")
    if path.is_file() or path.suffix == ".zarr":
        return [path]
    parts = sorted(path.glob("*.h5ad"))
    if not parts:
        raise FileFormatError(f"The folder {path} holds no .h5ad file; expected the parts of an attribution run.")
    return parts


def _close(layer: Any) -> None:
    """Close the file of a layer at once: many parts would otherwise use up the file descriptors."""
    stored = getattr(layer, "group", layer)
    if hasattr(stored, "file"):
        stored.file.close()
