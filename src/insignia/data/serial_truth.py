"""What is true of simulated serial sections; none of it stands in the stack itself."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from insignia.core.errors import InputError
from insignia.data.sections import SectionStack
from insignia.data.serial_options import SerialOptions
from insignia.data.transform import Transform

__all__ = ["SectionTruth", "SimulatedStack", "StackTruth"]


@dataclass(frozen=True, eq=False)
class SectionTruth:
    """What is true of one section; rows follow the section's spots.

    Parameters
    ----------
    rates
        (spots, genes) expected share of each gene in a spot's counts.
    composition
        (spots, tissue types) fractions of the tissue types.
    hidden
        (spots, fields) the fields that leave no trace in the image.
    common_um
        (spots, 2) where the tissue under each spot lies in the common frame, all deformation and damage included.
    is_displaced
        (spots,) bool, whether the spot is on a piece that a tear or fold moved against the main one.
    transform
        Affine map from the section's frame to the common one; `None` for tissue of another block.
    mask
        (height, width) bool, where the image shows tissue; `None` if there is no image.
    damage
        What is wrong with the section.
    """

    rates: np.ndarray
    composition: pd.DataFrame
    hidden: np.ndarray
    common_um: np.ndarray
    is_displaced: np.ndarray
    transform: Transform | None
    mask: np.ndarray | None
    damage: tuple[str, ...]

    @property
    def tissue(self) -> np.ndarray:
        """(spots,) the prevailing tissue type."""
        prevailing: np.ndarray = np.asarray(self.composition.columns)[self.composition.to_numpy().argmax(axis=1)]
        return prevailing


@dataclass(frozen=True, eq=False)
class StackTruth:
    """What is true of a stack.

    Parameters
    ----------
    sections
        By name.
    genes
        Table by gene: `group` (``"A"`` to ``"D"``, see `GENE_GROUPS`), `level`, and the log fold changes of each
        tissue type and each hidden field.
    """

    sections: Mapping[str, SectionTruth]
    genes: pd.DataFrame

    def __getitem__(self, section: str) -> SectionTruth:
        return self.sections[section]

    def in_group(self, group: str) -> np.ndarray:
        """(genes,) bool, whether a gene belongs to a group."""
        members: np.ndarray = (self.genes["group"] == group).to_numpy()
        return members

    def between(self, moving: str, fixed: str) -> Transform:
        """Affine map from the frame of one section to that of another.

        Raises
        ------
        InputError
            One of them is tissue of another block.
        """
        there, back = self[moving].transform, self[fixed].transform
        if there is None or back is None:
            raise InputError(f"{moving!r} or {fixed!r} is tissue of another block, and no map leads there.")
        return there.then(back.inverse())

    def alignment_error_um(self, registered: SectionStack, section: str, *, reference: str) -> np.ndarray:
        """How far each spot of a section is from where it belongs, (spots,).

        Registration defines its common frame by a reference section; truth is carried into it through the affine
        part of that section's truth and its pose.

        Parameters
        ----------
        registered
            The stack with poses.
        section, reference
            Names of the section and of the one that defines the frame.
        """
        fixed = registered[reference]
        back = self[reference].transform
        if back is None or fixed.pose is None:
            raise InputError(f"The reference {reference!r} needs a pose, and must be of this block.")
        there = back.inverse().then(fixed.pose.transform).apply(self[section].common_um)
        error: np.ndarray = np.linalg.norm(registered[section].common_um[:, :2] - there, axis=1)
        return error


@dataclass(frozen=True, eq=False)
class SimulatedStack:
    """Simulated serial sections and the truth about them.

    Parameters
    ----------
    stack
        Counts and images of all sections, without poses.
    truth
        What was planted.
    options
        What was asked for.
    """

    stack: SectionStack
    truth: StackTruth
    options: SerialOptions
