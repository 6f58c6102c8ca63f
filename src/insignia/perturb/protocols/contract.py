"""What a protocol says about a published screen: what to download, which label is the control, what is held out."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from insignia.core.errors import InputError
from insignia.core.registry import Registry
from insignia.data import PerturbationData, Split, read_screen

__all__ = ["Protocol", "protocols"]


@dataclass(frozen=True)
class Protocol:
    """A published screen, as a user has downloaded it, and how it is divided.

    Parameters
    ----------
    title
        Of the page with the results.
    wanted
        What to download.
    splits
        Makes `n` splits of the screen from a first seed.
    n_splits
        How many, by default.
    needs_embedding
        Whether genes are predicted that were never perturbed in training, of which only an embedding can tell.
    controls
        Label of the control in each convention of labels in which the screen is shared.
    """

    title: str
    wanted: str
    splits: Callable[[PerturbationData, int, int], tuple[Split, ...]]
    n_splits: int
    needs_embedding: bool
    controls: tuple[str, ...] = ("ctrl", "control", "non-targeting")

    def read(self, path: str | Path, *, control: str | None = None, genes: int | None = 2000) -> PerturbationData:
        """Read the download.

        Parameters
        ----------
        path
            The file.
        control
            Label of its control cells, where it is none that the screen is shared with.
        genes
            Genes to keep, those with the highest mean in control cells; `None` keeps all.

        Raises
        ------
        InputError
            There is no such file, or no cell has the label of a control.
        """
        path = Path(path)
        if not path.exists():
            raise InputError(f"There is no file {path}. {self.wanted}")
        failed: list[str] = []
        for label in (control,) if control is not None else self.controls:
            try:
                return read_screen(path, control=label, genes=genes)
            except InputError as error:
                if "has the control label" not in str(error):
                    raise
                failed.append(str(error))
        raise InputError(f"{failed[-1]} Known labels of this screen are {', '.join(self.controls)}. {self.wanted}")


protocols: Registry[Protocol] = Registry("protocol")
