"""Write docs/science.md and its figures from the results in docs/science.

python -m benchmarks.science.page
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.science import results
from benchmarks.science.scores import DEFAULT, PLAIN
from benchmarks.science.verdicts import verdict_table
from benchmarks.science.words import FOLLOWS, HEAD, INTERFERON, MARKERS, NOISE, PLANTED, SET_UP, SHORT, TRANSFER, TRIED

PAGE: Final = Path(__file__).parents[2] / "docs" / "science.md"
Scores = Mapping[str, Mapping[str, Sequence[float | None]]]


NAMES: Final = ("markers", "scorers", "tried", "noise", "transfer", "interferon")


def page() -> str:
    """Make the page from the results: the same results give the same text."""
    found = {name: results.load(name) for name in NAMES if results.is_there(name)}
    parts = [
        HEAD,
        f"{SHORT}\n\n{verdict_table(found)}",
        FOLLOWS,
        SET_UP,
        markers(found["markers"], found.get("scorers", {})),
        planted(found),
        tried(found.get("tried", {})),
        noise(found["noise"]),
        transfer(found["transfer"]),
        interferon(found["interferon"]),
        _machine(found),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def markers(found: Mapping[str, Any], others: Mapping[str, Any]) -> str:
    """Tables of known markers and hallmark sets."""
    reported = found["reported"]
    columns = {
        "share": "share on own markers, %",
        "alone": "marker above other genes, type alone",
        "first_alone": "markers in first 20, alone",
        "against": "the same against other types",
        "first_against": "in first 20, against",
        "typing": "cells told apart",
    }
    parts = [
        MARKERS,
        table(reported["overall"], columns),
        "Controls: other genes, as often detected, in place of the markers; shuffled types.",
        table(
            reported["overall"],
            {
                "share_control": "share, other genes, %",
                "alone_control": "alone, other genes",
                "against_control": "against, other genes",
                "typing_control": "cells, other genes",
                "typing_shuffled": "cells, shuffled types",
            },
        ),
        _better(reported["against_expression"], columns),
        *([_scorers(others)] if others else []),
        "```{image} images/science_markers.png\n:alt: Markers by score and pair of studies\n```",
        "Pair by pair, chance that a marker stands above another gene in the type alone (sd over seeds):",
        _by_pair(reported["pairs"], "alone"),
        "The same against the other types:",
        _by_pair(reported["pairs"], "against"),
        "Hallmark sets that belong to a cell type (written down before the first run): place among all sets, 0 first "
        "and 1 last, and AUROC of the type's cells.",
        table(
            reported["hallmarks"],
            {"hallmark_place": "place", "hallmark": "AUROC", "hallmark_control": "shuffled types"},
        ),
    ]
    return "\n\n".join(parts)


def planted(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Table of the positive control."""
    merged = {
        score: {**row, **found["noise"]["planted"]["scores"].get(score, {})}
        for score, row in found["markers"]["planted"]["scores"].items()
    }
    columns = {
        "share": "share on own markers, %",
        "share_control": "on other genes, %",
        "housekeeping": "housekeeping share, %",
        "alone": "marker above other genes, alone",
        "against": "against other types",
        "type_rank": "rank stability at 30 % depth",
        "shift": "shift at 30 % depth",
    }
    return f"{PLANTED}\n\n{table(merged, columns)}\n\n{_targets(merged)}"


def _targets(scores: Scores) -> str:
    """Say how far the default attribution is from what was asked of it beforehand."""
    plain, mine = ({name: value[0] or 0.0 for name, value in scores[score].items()} for score in (PLAIN, DEFAULT))
    return (
        f"Asked for beforehand of the default: at least 3 times expression's share on markers (found "
        f"{mine['share'] / plain['share']:.1f}), at most 0.6 times its share on housekeeping genes (found "
        f"{mine['housekeeping'] / plain['housekeeping']:.2f}), ranks in a type kept to at least 0.9 at 30 % depth "
        f"(found {mine['type_rank']:.2f}, expression {plain['type_rank']:.2f}) and less shift than expression (found "
        f"{mine['shift']:.3f}, expression {plain['shift']:.3f})."
    )


def tried(found: Mapping[str, Any]) -> str:
    """Everything that was tried on the tuning pairs."""
    names = [name for name in found if isinstance(found[name], dict) and "scores" in found[name]]
    if not names:
        return TRIED
    lines = [
        "| score | " + " | ".join(f"{name}: share, % | alone | against | cells" for name in names) + " |",
        "|---|" + "---|" * (4 * len(names)),
    ]
    for score in found[names[0]]["scores"]:
        rows = [found[name]["scores"][score] for name in names]
        cells = [
            f"{row['share'][0]:.1f} | {row['alone'][0]:.3f} | {row['against'][0]:.3f} | {row['typing'][0]:.3f}"
            for row in rows
        ]
        lines.append(f"| {score} | " + " | ".join(cells) + " |")
    note = found.get("note", "One seed.")
    return f"{TRIED}\n{note}\n\n" + "\n".join(lines)


def noise(found: Mapping[str, Any]) -> str:
    """Tables of stability, artefacts and technical genes."""
    columns = {
        "cell_rank": "rank in a cell",
        "type_rank": "rank in a type",
        "other_type_rank": "to other types",
        "difference_rank": "rank of differences",
        "artefact": "artefact",
        "artefact_control": "without noise",
        "typing": "cells told apart",
        "typing_shuffled": "shuffled types",
    }
    parts = [NOISE]
    names = [name for name in found if isinstance(found[name], dict) and "noises" in found[name]]
    for name in names:
        for kind, scores in found[name]["noises"].items():
            parts += [f"**{name}, {kind}** ({found[name]['genes']:,} genes)", table(scores, columns)]
    parts.append("```{image} images/science_noise.png\n:alt: Stability and artefacts by score\n```")
    for name in names:
        kinds = {kind: f"{kind}, %" for kind in ("mitochondrial", "ribosomal", "housekeeping")}
        present = {k: v for k, v in kinds.items() if k in next(iter(found[name]["technical"].values()))}
        first = next(iter(found[name]["technical"].values()))
        number = ", ".join(f"{first[f'{kind}_genes'][0]:.1f} % {kind}" for kind in present)
        parts += [
            f"Share of the score on technical genes, {name}; by number they are {number}.",
            table(found[name]["technical"], present),
        ]
    return "\n\n".join(parts)


def transfer(found: Mapping[str, Any]) -> str:
    """Tables of retrieval between units."""
    columns = {
        "cosine": "type found, cosine",
        "rank": "by ranks",
        "cosine_centred": "cosine, less mean",
        "margin_centred": "margin, less mean",
        "cells": "cells, cosine",
        "cells_centred": "cells, less mean",
        "cells_control": "shuffled types",
    }
    parts = [TRANSFER]
    for name, row in found.items():
        if isinstance(row, dict) and "units" in row:
            about = f"**{name}**: trained on {row['trained_on']}; {', '.join(row['units'])}; {row['genes']:,} genes"
            parts += [about, table(row["scores"], columns)]
    return "\n\n".join(parts)


def interferon(found: Mapping[str, Any]) -> str:
    """Tables of the interferon response, pooled and by donor."""
    columns = {
        "genes": "response genes above others",
        "genes_control": "shuffled conditions",
        "first": "in first 20",
        "set_rank": "rank of the set",
        "cells": "cells told apart",
        "cells_control": "shuffled conditions",
        "donors_alike": "two donors alike",
    }
    parts = [INTERFERON]
    depths = {name: row for name, row in found.items() if isinstance(row, dict) and "donors" in row}
    for name, row in depths.items():
        parts += [f"**{name}** ({row['genes']:,} genes, {row['sets']} sets)", table(row["scores"], columns)]
    parts.append("```{image} images/science_interferon.png\n:alt: Interferon genes by score and donor\n```")
    return "\n\n".join(parts)


def table(scores: Scores, columns: Mapping[str, str]) -> str:
    """Mean and standard deviation of some measures, one row a score."""
    lines = ["| score | " + " | ".join(columns.values()) + " |", "|---|" + "---|" * len(columns)]
    lines += [
        f"| {score} | " + " | ".join(number(row.get(name)) for name in columns) + " |" for score, row in scores.items()
    ]
    return "\n".join(lines)


def number(value: Sequence[float | None] | None) -> str:
    """Mean, and standard deviation in brackets where there is one."""
    if value is None or value[0] is None:
        return ""
    digits = 1 if abs(value[0]) >= 1.5 else 3
    mean = f"{value[0]:.{digits}f}"
    return mean if value[1] is None else f"{mean} ({value[1]:.{digits}f})"


def _better(found: Mapping[str, Mapping[str, Sequence[float]]], columns: Mapping[str, str]) -> str:
    lines = [
        "In how many cell types (of all pairs) a score is better than expression, and p of a sign test; types of one "
        "study are not independent, so that p is too small.",
        "",
        "| score | " + " | ".join(columns.values()) + " |",
        "|---|" + "---|" * len(columns),
    ]
    for score, row in found.items():
        cells = [f"{row[name][0]} of {row[name][1]} ({_p(row[name][2])})" for name in columns]
        lines.append(f"| {score} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _scorers(found: Mapping[str, Any]) -> str:
    text = "Other ways to score the same lists by expression, on the same cells and genes:"
    columns = {"typing": "cells told apart", "typing_shuffled": "shuffled types"}
    return f"{text}\n\n{table(found['reported']['scores'], columns)}"


def _p(value: float) -> str:
    return "p < .001" if value < 0.001 else f"p {value:.3f}".replace("0.", ".")


def _by_pair(pairs: Mapping[str, Any], measure: str) -> str:
    first = next(iter(pairs.values()))
    lines = ["| score | " + " | ".join(pairs) + " |", "|---|" + "---|" * len(pairs)]
    lines += [
        f"| {score} | " + " | ".join(number(row["scores"][score][measure]) for row in pairs.values()) + " |"
        for score in first["scores"]
    ]
    return "\n".join(lines)


def _machine(found: Mapping[str, Mapping[str, Any]]) -> str:
    seconds = ", ".join(f"{name} {row['seconds']:,.0f} s" for name, row in found.items() if "seconds" in row)
    one = found["markers"]
    return (
        "## How to repeat it\n\n"
        "`python -m benchmarks.science.NAME` for markers, scorers, tried, noise, transfer and interferon, then "
        "`python -m benchmarks.science.page`. "
        f"Times on {one['machine']['cores']} cores, one thread each, with much other work on the machine: {seconds}. "
        f"insignia {one['software']['insignia']}, Python {one['software']['python']}, numpy {one['software']['numpy']}."
    )


def main() -> None:
    """Write the page and draw the figures."""
    from benchmarks.science.figures import draw

    PAGE.write_text(page())
    draw(PAGE.parent / "images")
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
