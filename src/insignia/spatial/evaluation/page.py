"""An evaluation for people: as plain text and as a page in Markdown."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from insignia.spatial.evaluation.scores import METRICS

if TYPE_CHECKING:
    from insignia.spatial.evaluation.evaluation import Evaluation

__all__ = ["markdown", "markdown_table", "plain"]

_MAIN: Final = ("pcc_mean", "pcc_median", "pcc_above_0.2", "mse", "mae", "skill", "skill_median")
_SHAPE: Final = ("variance_ratio", "moran_predicted", "moran_measured", "moran_agreement", "coverage", "width")
_PER_SPOT: Final = ("per_spot_pcc", "per_spot_pcc_of_mean")
_CAUTION: Final = (
    "The per-spot correlation is dominated by differences between genes: the mean profile has them too, so read it "
    "only against the mean profile's own value. It cannot even tell a failed registration."
)


def plain(evaluation: "Evaluation") -> str:
    """Give the tables and the verdict as text."""
    tables = [_table(evaluation, metrics).to_string(index=False) for metrics in (_MAIN, _SHAPE, _PER_SPOT)]
    return "\n\n".join(
        [_scope(evaluation), *tables[:2], f"{_CAUTION}\n{tables[2]}", *_closing(evaluation, "Verdict: ")]
    )


def markdown(evaluation: "Evaluation") -> str:
    """Give a short page."""
    parts = [
        f"# {evaluation.about.get('title', 'Imputed expression on hidden sections')}",
        _scope(evaluation),
        *(markdown_table(_table(evaluation, metrics)) for metrics in (_MAIN, _SHAPE)),
        _CAUTION,
        markdown_table(_table(evaluation, _PER_SPOT)),
        "## Verdict",
        *_closing(evaluation, ""),
        "## Sections",
        markdown_table(_sections(evaluation)),
    ]
    if len(evaluation.coverage):
        parts += ["## Intervals by support", markdown_table(_coverage(evaluation))]
    if "splits" in evaluation.about:
        parts += ["## Splits", markdown_table(_splits(evaluation.about["splits"]))]
    return "\n\n".join([*parts, "## Settings", _settings(evaluation)])


def markdown_table(table: pd.DataFrame) -> str:
    """Give a table of texts in Markdown."""
    lines = [list(table.columns), ["---"] * table.shape[1], *table.astype(str).to_numpy().tolist()]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def _scope(evaluation: "Evaluation") -> str:
    places = evaluation.sections[["sample", "known", "section"]].drop_duplicates()
    several = places["sample"].nunique()
    known = ", ".join(dict.fromkeys(places["known"]))
    counted = sorted({int(evaluation.sections["genes"].min()), int(evaluation.sections["genes"].max())})
    return (
        f"{len(places)} hidden sections of {several} {'sample' if several == 1 else 'samples'}; "
        f"known: {known or 'none'}; {' to '.join(map(str, counted))} genes. Each section is scored alone"
        + (", then averaged." if several == 1 else ", then averaged by sample; in brackets the sd over samples.")
    )


def _table(evaluation: "Evaluation", metrics: tuple[str, ...]) -> pd.DataFrame:
    summary = evaluation.summary(metrics)
    has_seeds = summary[[f"{name}_seed_sd" for name in metrics]].notna().any(axis=None)
    rows = []
    for (role, method), row in zip(summary.index.tolist(), summary.to_dict("records"), strict=True):
        cells = {METRICS[name]: _cell(row[name], row[f"{name}_sd"]) for name in metrics}
        if metrics == _MAIN and has_seeds:
            cells["sd of r over seeds"] = _cell(row["pcc_mean_seed_sd"])
        rows.append({"": role, "method": method, **cells})
    return pd.DataFrame(rows)


def _sections(evaluation: "Evaluation") -> pd.DataFrame:
    table = evaluation.sections
    places = table.drop_duplicates(["sample", "known", "section"]).copy()
    shown = ["sample", "known", "section", "spots", "genes", "distance_um", "registration"]
    quality = [name for name in map(str, table) if name.startswith("quality_") and table[name].notna().any()]
    formats: dict[str, Callable[[float], str]] = {"distance_um": lambda um: _cell(um, digits=0)}
    formats |= dict.fromkeys(quality, _cell)
    for name, made in formats.items():
        places[name] = places[name].map(made)
    wide = table.groupby(["role", "method", "sample", "known", "section"], sort=False)["pcc_mean"].mean()
    judged = table.loc[table["role"].isin(["imputer", "baseline"]), ["role", "method"]].drop_duplicates()
    where = list(zip(places["sample"], places["known"], places["section"], strict=True))
    for role, method in judged.to_numpy().tolist():
        places[f"r, {method}"] = [_cell(wide.get((role, method, *place))) for place in where]
    return places[[*shown, *quality, *(name for name in map(str, places) if name.startswith("r, "))]]


def _coverage(evaluation: "Evaluation") -> pd.DataFrame:
    grouped = evaluation.coverage.groupby(["method", "from", "to"], sort=False)
    table = grouped.agg(spots=("rows", "sum"), coverage=("coverage", "mean"), width=("width", "mean")).reset_index()
    for name in ("from", "to", "coverage", "width"):
        table[name] = table[name].map(_cell)
    return table.rename(columns={"from": "support from", "to": "to"})


def _closing(evaluation: "Evaluation", opening: str) -> list[str]:
    lines = [f"{opening}{verdict}" for verdict in evaluation.verdicts]
    return lines + [f"Note: {note}" for note in evaluation.notes]


def _splits(splits: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    rows = [
        {
            "held out": split["donor"],
            "known": ", ".join(split["given"]) or "none",
            "scored": len(split["test"]),
            "learnt from": len(split["train"]),
            "fingerprint": split["fingerprint"],
        }
        for split in splits
    ]
    return pd.DataFrame(rows)


def _settings(evaluation: "Evaluation") -> str:
    settings = {name: value for name, value in evaluation.about.items() if name not in ("title", "splits", "training")}
    return "\n".join(f"- {name.replace('_', ' ')}: {_said(value)}" for name, value in settings.items())


def _said(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {entry}" for name, entry in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _cell(value: float | None, spread: float | None = None, *, digits: int = 3) -> str:
    if value is None or pd.isna(value):
        return "-"
    # adding zero turns -0.000 into 0.000
    text = f"{round(float(value), digits) + 0.0:.{digits}f}"
    return text if spread is None or pd.isna(spread) else f"{text} ({spread:.{digits}f})"
