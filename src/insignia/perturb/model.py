"""A fitted predictor with all that predictions need: genes, control cells to start from, and where it comes from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from anndata import AnnData
from scipy.sparse import csr_matrix

from insignia.core.array_folder import read_array_folder, write_array_folder
from insignia.core.errors import InputError, ModelFormatError
from insignia.core.files import canonical_json, sha256_array, sha256_text
from insignia.data.condition import Condition
from insignia.data.perturbation_splits import parse_unit, unit_of
from insignia.data.splits import Split
from insignia.perturb.contract import Effect, Predictor
from insignia.perturb.predicted_cells import mean_table, predicted_cells
from insignia.perturb.saving import pack, unpack

__all__ = ["ControlCells", "PerturbationModel", "load_model"]

FORMAT: Final = "insignia-perturb-model/2"
RECORD: Final = "model.json"

Wanted = str | Condition | Sequence[str | Condition] | Split


@dataclass(frozen=True, eq=False)
class ControlCells:
    """Control cells of a context, from which predictions start.

    Parameters
    ----------
    expression
        (cells, genes) log expression.
    names
        (cells,).
    """

    expression: csr_matrix
    names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class PerturbationModel:
    """A fitted predictor that can be saved, loaded and asked; make it with `fit`.

    Parameters
    ----------
    method
        Registered name of the predictor.
    predictor
        Fitted.
    genes
        Measured genes, in the order of predictions.
    controls
        By context.
    about
        Scale of the logs, seed, split and its hash, the groups that were learned from, sources of the priors.
    """

    method: str
    predictor: Predictor
    genes: tuple[str, ...]
    controls: Mapping[str, ControlCells]
    about: Mapping[str, Any]

    @property
    def contexts(self) -> tuple[str, ...]:
        """Contexts in which cells can be predicted."""
        return tuple(self.controls)

    @cached_property
    def fingerprint(self) -> str:
        """Short hash of everything that predictions depend on."""
        record, arrays = self._packed()
        parts = [record, {name: sha256_array(np.ascontiguousarray(array)) for name, array in sorted(arrays.items())}]
        return sha256_text(canonical_json(parts))[:16]

    def predict(
        self,
        conditions: Wanted,
        *,
        contexts: Sequence[str] | None = None,
        n_cells: int = 200,
        seed: int = 0,
    ) -> AnnData:
        """Predict cells.

        Parameters
        ----------
        conditions
            What is done, e.g. ``"KLF1+MAP2K6"``, or several; or a split, whose test side is predicted.
        contexts
            In which contexts; `None` takes all, or those that a split names.
        n_cells
            Cells of each condition in each context. They start from control cells, each once while there are enough.
        seed
            Of the choice of control cells, and of predictors that draw. A condition gets the same cells in any company.

        Returns
        -------
        Predicted cells: `X` is log expression as in the screen, ``layers["delta"]`` the change against the source cell,
        `obs` the condition, context, source cell, status, distance in the embedding and shrinkage; `uns` says how they
        were made. scanpy and `tl.score` with ``layer=None`` take them as they are.

        Raises
        ------
        GeneMatchError
            A perturbed gene is unknown to a predictor that refuses it.
        InputError
            A condition has no answer, a context is unknown, or the model learned from the test side of the split.
        """
        groups = self._groups(conditions, contexts)
        if n_cells < 1:
            raise InputError(f"n_cells must be at least 1, found {n_cells}.")
        return predicted_cells(self, groups, n_cells=n_cells, seed=seed)

    def means(self, conditions: Wanted, *, contexts: Sequence[str] | None = None) -> AnnData:
        """Predict mean expression, one row a condition and context; what is asked as in `predict`.

        Returns
        -------
        `X` is the mean log expression, ``layers["delta"]`` the change against all control cells kept in the model, and
        ``layers["sd"]``, where the predictor knows it, how unsure it is.
        """
        return mean_table(self, self._groups(conditions, contexts))

    def effect(self, condition: Condition, context: str) -> Effect:
        """Predict the mean effect of a condition; see `Predictor.effect`."""
        return self.predictor.effect(condition, context)

    def check_leaks(self, split: Split) -> None:
        """Refuse a model that learned from what is to be predicted.

        Raises
        ------
        InputError
            With the groups by name.
        """
        test = {parse_unit(unit) for unit in split.test}
        trained = [parse_unit(unit) for unit in self.about["trained"]]
        leaked = [unit_of(one, str(where)) for one, where in trained if (one, where) in test or (one, None) in test]
        if leaked:
            raise InputError(
                f"This model learned from {len(leaked)} groups of the test side of split {split.name!r}, e.g. "
                f"{', '.join(leaked[:5])}. Fit it with split=, which takes them away."
            )

    def save(self, path: str | Path) -> None:
        """Write the model to a new folder, whole or not at all.

        Raises
        ------
        InputError
            There is something at `path` already.
        ModelError
            The predictor is not registered, or holds something that cannot be saved.
        """
        record, arrays = self._packed()
        write_array_folder(path, RECORD, record, arrays, form=FORMAT)

    @classmethod
    def load(cls, path: str | Path) -> "PerturbationModel":
        """Read a model that `save` wrote; no code from it is run.

        Raises
        ------
        ModelFormatError
            A file is absent, was changed, or does not fit this version.
        """
        record, arrays = read_array_folder(path, RECORD, form=FORMAT, error=ModelFormatError)
        content = unpack(record["model"], arrays)
        if not isinstance(content, dict) or not isinstance(content.get("predictor"), Predictor):
            raise ModelFormatError(f"{path} holds no predictor. Fit and save it again.")
        controls = {
            context: ControlCells(expression, names) for context, (expression, names) in content["controls"].items()
        }
        return cls(content["method"], content["predictor"], content["genes"], controls, content["about"])

    def describe(self) -> dict[str, Any]:
        """Facts for people and JSON."""
        trained = [parse_unit(unit) for unit in self.about["trained"]]
        return {
            "method": self.method,
            "fingerprint": self.fingerprint,
            "genes": len(self.genes),
            "contexts": list(self.contexts),
            "trained_conditions": len({one for one, _ in trained if not one.is_control}),
            **{name: value for name, value in self.about.items() if name not in ("trained", "notes", "scale")},
            "scale": None if np.isnan(self.about["scale"]) else self.about["scale"],
            "fitted": self.predictor.describe(),
        }

    def _packed(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        arrays: dict[str, np.ndarray] = {}
        content = {
            "method": self.method,
            "predictor": self.predictor,
            "genes": self.genes,
            "controls": {context: (cells.expression, cells.names) for context, cells in self.controls.items()},
            "about": dict(self.about),
        }
        return {"method": self.method, "model": pack(content, arrays, "model")}, arrays

    def parse_conditions(self, conditions: str | Condition | Sequence[str | Condition]) -> tuple[Condition, ...]:
        """Read conditions as people write them, each once.

        Raises
        ------
        InputError
            There is none, or a text is no condition.
        """
        several = [conditions] if isinstance(conditions, str | Condition) else list(conditions)
        found = [Condition.parse(one) if isinstance(one, str) else one for one in several]
        if not found:
            raise InputError("There is no condition to predict.")
        return tuple(dict.fromkeys(found))

    def chosen_contexts(self, contexts: Sequence[str] | None) -> tuple[str, ...]:
        """Give the contexts asked for, or all.

        Raises
        ------
        InputError
            The model has no control cells of one.
        """
        asked = self.contexts if contexts is None else tuple([contexts] if isinstance(contexts, str) else contexts)
        unknown = [context for context in asked if context not in self.controls]
        if unknown or not asked:
            raise InputError(
                f"The model has control cells of the contexts {', '.join(self.contexts)}, and not of "
                f"{', '.join(map(repr, unknown[:5]))}."
            )
        return asked

    def _groups(self, conditions: Wanted, contexts: Sequence[str] | None) -> list[tuple[Condition, str]]:
        """Say what is to be predicted and where, context by context, each once."""
        if not isinstance(conditions, Split):
            found = self.parse_conditions(conditions)
            return [(one, here) for here in self.chosen_contexts(contexts) for one in found]
        self.check_leaks(conditions)
        units = list(dict.fromkeys(map(parse_unit, conditions.test)))
        named = list(dict.fromkeys(where for _, where in units if where is not None))
        known = self.chosen_contexts(named) if named else ()
        everywhere = any(where is None for _, where in units)
        places = self.chosen_contexts(contexts) if everywhere or contexts is not None else known
        wanted = [(one, here) for here in places for one, where in units if where in (None, here)]
        if not wanted:
            raise InputError(f"The split holds out nothing in {', '.join(places)}, but in {', '.join(known)}.")
        return list(dict.fromkeys(wanted))


def load_model(path: str | Path) -> PerturbationModel:
    """Read a fitted predictor from its folder; see `PerturbationModel.load`."""
    return PerturbationModel.load(path)
