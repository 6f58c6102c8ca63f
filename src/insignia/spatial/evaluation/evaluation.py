"""What an evaluation found: one row a section, averages over samples, verdicts, and files of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pandas as pd

from insignia.core.errors import InputError
from insignia.core.files import atomic_file
from insignia.data import write_table
from insignia.spatial.evaluation.scores import METRICS
from insignia.spatial.evaluation.summary import over_samples, over_seeds
from insignia.spatial.evaluation.verdict import Verdict, verdicts

__all__ = ["Evaluation"]

_SHOWN: Final = tuple(METRICS)
_PER_SPOT: Final = ("per_spot_pcc", "per_spot_pcc_of_mean")


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Figures of imputers, baselines, controls and oracles on sections that none of them saw.

    Parameters
    ----------
    sections
        One row a method, sample, known sections, section and seed: ``role`` (imputer, baseline, control or oracle),
        ``method``, ``sample``, ``known``, ``section``, ``seed``, ``spots``, ``genes``, ``distance_um``,
        ``registration``, quality figures of the pose, and every figure of `METRICS`.
    genes
        The same by gene: ``gene``, ``pcc``, ``skill``, ``variance_ratio``, ``moran_predicted``, ``moran_measured``.
    coverage
        Coverage and width of 90 % intervals by how well spots are supported.
    notes
        What was left out, and why; what to be careful with.
    about
        Settings, software and seconds, fit for JSON.
    """

    sections: pd.DataFrame
    genes: pd.DataFrame
    coverage: pd.DataFrame
    notes: tuple[str, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def join(cls, parts: Sequence["Evaluation"]) -> "Evaluation":
        """Put evaluations of several samples or known sections into one; of equal settings the first are kept."""
        if not parts:
            raise InputError("There is no evaluation to join.")
        about: dict[str, Any] = {}
        for part in parts:
            for name, value in part.about.items():
                about.setdefault(name, value)
        tables = {name: pd.concat([getattr(part, name) for part in parts], ignore_index=True) for name in _TABLES}
        notes = tuple(dict.fromkeys(note for part in parts for note in part.notes))
        return cls(**tables, notes=notes, about=about)

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """How each imputer stands against its best baseline."""
        return verdicts(self.sections)

    def summary(self, metrics: Sequence[str] = _SHOWN) -> pd.DataFrame:
        """Average over seeds, sections and samples, with the spread.

        Parameters
        ----------
        metrics
            Names from `METRICS`.

        Returns
        -------
        One row a method, indexed by (role, method). For each figure its mean over samples, ``<figure>_sd`` over
        samples, and ``<figure>_seed_sd`` over seeds.

        Raises
        ------
        InputError
            A figure is not known, or the correlation over genes was asked for without that of the mean profile.
        """
        chosen = _checked(metrics)
        mean, sd = over_samples(self.sections, chosen)
        seeds = over_seeds(self.sections, chosen)
        return mean.join(sd.add_suffix("_sd")).join(seeds.add_suffix("_seed_sd"))

    def record(self) -> dict[str, Any]:
        """Give averages, verdicts, notes and settings as plain values, fit for JSON."""
        table = self.summary()
        return {
            "sections": int(self.sections[["sample", "known", "section"]].drop_duplicates().shape[0]),
            "samples": int(self.sections["sample"].nunique()),
            "methods": [
                {"role": role, "method": method, **{str(name): _plain(value) for name, value in row.items()}}
                for (role, method), row in zip(table.index.tolist(), table.to_dict("records"), strict=True)
            ],
            "verdicts": [str(verdict) for verdict in self.verdicts],
            "notes": list(self.notes),
            "about": dict(self.about),
        }

    def write(self, folder: str | Path) -> tuple[Path, ...]:
        """Write the tables as CSV, the averages as JSON, and a short page in Markdown.

        Parameters
        ----------
        folder
            Made if it does not exist; files of these names in it are replaced.
        """
        from insignia.spatial.evaluation.page import markdown

        folder = Path(folder)
        paths = []
        for name in _TABLES:
            paths.append(folder / f"{name}.csv")
            write_table(getattr(self, name), paths[-1])
        texts = {"evaluation.json": json.dumps(self.record(), indent=1, default=str), "evaluation.md": markdown(self)}
        for name, text in texts.items():
            paths.append(folder / name)
            with atomic_file(paths[-1]) as temporary:
                temporary.write_text(text + "\n", encoding="utf-8")
        return tuple(paths)

    def __str__(self) -> str:
        from insignia.spatial.evaluation.page import plain

        return plain(self)


_TABLES: Final = ("sections", "genes", "coverage")


def _checked(metrics: Sequence[str]) -> list[str]:
    if unknown := [name for name in metrics if name not in METRICS]:
        raise InputError(f"There is no figure {unknown[0]!r}; there are {', '.join(METRICS)}.")
    if _PER_SPOT[0] in metrics and _PER_SPOT[1] not in metrics:
        raise InputError(
            "The per-spot correlation is dominated by differences between genes, which a mean profile has as well. "
            f"Ask for {_PER_SPOT[1]!r} beside it."
        )
    return list(metrics)


def _plain(value: float) -> float | None:
    return round(float(value), 6) if pd.notna(value) else None
