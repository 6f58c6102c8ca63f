"""Who is ahead, question by question, by rule: nobody writes a verdict by hand."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.science.scores import DEFAULT, PLAIN, SCORES, TUNED

__all__ = ["Question", "verdict", "verdict_table"]

ATTRIBUTIONS: Final = {
    "default attribution": DEFAULT,
    "tuned attribution": TUNED,
    "attribution from the mean": "from the mean",
}
LEVEL: Final = 0.01
LEVEL_OF_AMOUNTS: Final = 0.1


@dataclass(frozen=True)
class Question:
    """One measure of all scores, averaged over what it was measured on.

    Parameters
    ----------
    text
        What is asked.
    values
        One a score.
    lower_is_better
        Whether a smaller value is better.
    is_amount
        Whether differences count relative to the value, as for shares, rather than as they are, as for AUROCs.
    """

    text: str
    values: Mapping[str, float]
    lower_is_better: bool = False
    is_amount: bool = False

    def best_without_network(self) -> str:
        """Name of the best score of the families that train no network."""
        sign = -1.0 if self.lower_is_better else 1.0
        plain = [name for name in self.values if SCORES[name].family != "encoder"]
        return max(plain, key=lambda name: sign * self.values[name])


def verdict(question: Question, mine: str, other: str) -> str:
    """Say whether one score is ahead of another, level with it, or behind.

    Level are AUROCs, rank correlations and accuracies within 0.01, and amounts within a tenth of the larger one.
    """
    gain = question.values[mine] - question.values[other]
    allowed = LEVEL
    if question.is_amount:
        allowed = LEVEL_OF_AMOUNTS * max(abs(question.values[mine]), abs(question.values[other]))
    if abs(gain) <= allowed:
        return "level"
    return "ahead" if (gain > 0) != question.lower_is_better else "behind"


def verdict_table(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Make a row a question: values, and how attributions stand to expression and to the best without a network."""
    lines = [
        "| question | expression | best without a network | " + " | ".join(ATTRIBUTIONS) + " |",
        "|---|---|---|" + "---|" * len(ATTRIBUTIONS),
    ]
    for question in questions(found):
        best = question.best_without_network()
        cells = [
            f"{_number(question, mine)}: {_strong(verdict(question, mine, PLAIN))}, "
            f"{_strong(verdict(question, mine, best))}"
            for mine in ATTRIBUTIONS.values()
        ]
        lines.append(
            f"| {question.text} | {_number(question, PLAIN)} | {_number(question, best)} ({best}) | "
            + " | ".join(cells)
            + " |"
        )
    return "\n".join(lines)


def questions(found: Mapping[str, Mapping[str, Any]]) -> Iterator[Question]:
    """All questions that the results answer."""
    markers = found["markers"]["reported"]
    overall = markers["overall"]
    yield Question("share of a cell's score on its own markers, %", _means(overall, "share"), is_amount=True)
    yield Question("a marker above another gene, type alone", _means(overall, "alone"))
    yield Question("markers in the first 20 genes, type alone", _means(overall, "first_alone"), is_amount=True)
    yield Question("a marker above another gene, against other types", _means(overall, "against"))
    yield Question("cells told apart by the mean of their markers", _means(overall, "typing"))
    yield Question("cells told apart by hallmark sets", _means(markers["hallmarks"], "hallmark"))
    noise = {name: part for name, part in found["noise"].items() if isinstance(part, dict) and "noises" in part}
    for text, measure, lower in (
        ("ranks of genes in a type kept under noise", "type_rank", False),
        ("ranks of differences between types kept under noise", "difference_rank", False),
        ("differences that noise makes up", "artefact", True),
        ("cells told apart under noise", "typing", False),
    ):
        tables = [scores for part in noise.values() for scores in part["noises"].values()]
        yield Question(text, _averaged(tables, measure), lower_is_better=lower)
    for kind in ("ribosomal", "housekeeping", "mitochondrial"):
        tables = [part["technical"] for part in noise.values() if kind in part["technical"][PLAIN]]
        if tables:
            values = _averaged(tables, kind)
            yield Question(f"share on {kind} genes, %", values, lower_is_better=True, is_amount=True)
    for name, part in found["transfer"].items():
        if isinstance(part, dict) and "units" in part:
            text = f"a cell's type found in another unit ({name})"
            yield Question(text, _means(part["scores"], "cells_centred"))
            text = f"margin to the best other type in another unit ({name})"
            yield Question(text, _means(part["scores"], "margin_centred"))
    for name, part in found["interferon"].items():
        if isinstance(part, dict) and "donors" in part:
            yield Question(f"interferon genes above others ({name})", _means(part["scores"], "genes"))
            yield Question(f"stimulated cells told apart ({name})", _means(part["scores"], "cells"))
            yield Question(f"the response alike in two donors ({name})", _means(part["scores"], "donors_alike"))


def _means(scores: Mapping[str, Mapping[str, Any]], measure: str) -> dict[str, float]:
    return {name: float(row[measure][0]) for name, row in scores.items()}


def _averaged(tables: list[Mapping[str, Mapping[str, Any]]], measure: str) -> dict[str, float]:
    found = [_means(scores, measure) for scores in tables]
    return {name: sum(row[name] for row in found) / len(found) for name in found[0]}


def _number(question: Question, score: str) -> str:
    return f"{question.values[score]:.1f}" if question.is_amount else f"{question.values[score]:.3f}"


def _strong(word: str) -> str:
    return f"**{word}**" if word == "ahead" else word
