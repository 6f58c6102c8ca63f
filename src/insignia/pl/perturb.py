"""Figures of predicted perturbations, their programs, and how predictors compare."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from insignia.pl.drawing import axes_of, new_figure

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from insignia.perturb import PredictionView, Programs, Scoreboard, SignatureRanking
    from insignia.workflows import AttributedEffects

__all__ = ["attributed_effects", "cells", "effects", "perturbation_ranking", "prediction_scores", "program_map"]


def attributed_effects(
    effects: "AttributedEffects",
    *,
    conditions: Sequence[str] | None = None,
    top: int = 6,
    columns: int = 3,
    n_genes: int = 6,
    show: bool = False,
    save: str | Path | None = None,
) -> "Figure | None":
    """Draw what genes carry of each perturbation against their difference of expression, one panel a condition.

    Parameters
    ----------
    effects
        From `insignia.workflows.attribute_effects`.
    conditions, top, columns, n_genes
        As for `insignia.report.contrast_figure`.
    show, save
        As for `samples`.

    Returns
    -------
    The figure, unless `show`.

    Raises
    ------
    InputError
        There is nothing to draw, or a condition is not in the table.
    """
    from insignia.report import contrast_figure

    return new_figure(
        contrast_figure,
        effects,
        conditions=conditions,
        top=top,
        columns=columns,
        n_genes=n_genes,
        show=show,
        save=save,
    )


def program_map(
    programs: "Programs",
    effects: "pd.DataFrame",
    *,
    correlation: "np.ndarray | None" = None,
    conditions: Sequence[str] | None = None,
    top: int = 24,
    show: bool = False,
    save: str | Path | None = None,
) -> "Figure | None":
    """Draw the mean effect of perturbations on every gene program, and the correlation of genes by program.

    Parameters
    ----------
    programs
        Gene programs.
    effects, correlation, conditions, top
        As for `insignia.report.program_map_figure`.
    show, save
        As for `samples`.

    Returns
    -------
    The figure, unless `show`.

    Raises
    ------
    InputError
        A condition is not in the table, or correlations do not fit the genes.
    """
    from insignia.report import program_map_figure

    return new_figure(
        program_map_figure,
        programs.to_frame(),
        effects,
        correlation=correlation,
        conditions=conditions,
        top=top,
        show=show,
        save=save,
    )


def effects(
    view: "PredictionView",
    *,
    methods: Sequence[str] | None = None,
    conditions: Sequence[str] | None = None,
    columns: int = 3,
    n_genes: int = 6,
    show: bool = False,
    save: str | Path | None = None,
) -> "Figure | None":
    """Draw the predicted change of every gene against the measured one, one panel a condition.

    Parameters
    ----------
    view
        From `insignia.perturb.view_predictions`.
    methods, conditions, columns, n_genes
        As for `insignia.report.effects_figure`.
    show, save
        As for `samples`.

    Returns
    -------
    The figure, unless `show`.

    Raises
    ------
    InputError
        There is nothing to draw, or a method or condition is not in the view.
    """
    from insignia.report import effects_figure

    return new_figure(
        effects_figure,
        view.effects,
        methods=methods,
        conditions=conditions,
        columns=columns,
        n_genes=n_genes,
        show=show,
        save=save,
    )


def cells(
    view: "PredictionView",
    *,
    conditions: Sequence[str] | None = None,
    methods: Sequence[str] | None = None,
    show: bool = False,
    save: str | Path | None = None,
) -> "Figure | None":
    """Draw how control, measured and predicted cells are spread along the measured effect.

    Parameters
    ----------
    view
        From `insignia.perturb.view_predictions`.
    conditions, methods
        As for `insignia.report.cells_figure`.
    show, save
        As for `samples`.

    Returns
    -------
    The figure, unless `show`.

    Raises
    ------
    InputError
        There is nothing to draw, or a method or condition is not in the view.
    """
    from insignia.report import cells_figure

    return new_figure(cells_figure, view.cells, conditions=conditions, methods=methods, show=show, save=save)


def prediction_scores(
    board: "Scoreboard",
    *,
    metrics: Sequence[str] = ("l2", "pearson_from_mean", "edistance"),
    strata: Sequence[str] | None = None,
    show: bool = False,
    save: str | Path | None = None,
) -> "Figure | None":
    """Draw predictors beside their baselines, controls and another measurement, stratum by stratum.

    Parameters
    ----------
    board
        From `insignia.perturb.benchmark`.
    metrics, strata
        As for `insignia.report.prediction_scores_figure`.
    show, save
        As for `samples`.

    Returns
    -------
    The figure, unless `show`.

    Raises
    ------
    InputError
        There is nothing to draw, or a figure or stratum is unknown.
    """
    from insignia.report import prediction_scores_figure

    return new_figure(
        prediction_scores_figure, board.summary(list(metrics)), metrics=metrics, strata=strata, show=show, save=save
    )


def perturbation_ranking(
    ranking: "SignatureRanking",
    *,
    top: int = 15,
    context: str | None = None,
    ax: "Axes | None" = None,
    show: bool = False,
    save: str | Path | None = None,
) -> "Axes | None":
    """Draw perturbations ranked by the signature that they are predicted to move.

    Parameters
    ----------
    ranking, top, context
        As for `insignia.report.ranking_figure`.
    ax, show, save
        As for `samples`.

    Returns
    -------
    The axes, unless `show`.

    Raises
    ------
    InputError
        There is nothing to draw.
    """
    from insignia.report import ranking_figure

    return axes_of(ranking_figure, ranking, ax=ax, show=show, save=save, top=top, context=context)
