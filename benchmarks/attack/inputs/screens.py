"""Perturbation screens, splits, programs, models and predictions: check, split, fit, predict, evaluate, cell-eval."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.attack.case import Case
from benchmarks.attack.mutations import (
    JSON_TRICKS,
    NAMES_THAT_TRICK,
    damaged_cases,
    hdf5_damage,
    hdf5_parts,
    json_damage,
)
from benchmarks.attack.originals import beside, inside_cases, real_file, written
from insignia.core.files import canonical_json, sha256_text
from insignia.data import screen_to_anndata, simulate_screen, write_screen, write_splits
from insignia.data.perturbation_splits import additive_split
from insignia.perturb import fit

__all__ = ["cases"]

Command = Callable[[Path], Sequence[str]]
KINDS = ("gone", "empty", "text", "floats", "negative", "not finite", "huge", "huge-packed", "shorter", "loop", "group")


def cases(folder: Path, rng: np.random.Generator, amount: int) -> list[Case]:
    """Damaged screens in five conventions, and damaged files of splits, models and predictions."""
    made = simulate_screen(
        n_genes=40, n_programs=4, n_perturbations=8, n_doubles=6, n_controls=40, cells_per_condition=12, rng=0
    )
    screen, split = folder / "screen.h5ad", folder / "split.json"
    write_screen(made.data, screen)
    chosen = additive_split(made.data, rng=0)
    write_splits(chosen, split)
    model = folder / "model"
    trained = fit(made.data, chosen, method="ridge_onehot")
    trained.save(model)
    predicted = written(trained.predict(chosen, n_cells=10), folder / "predicted.h5ad")

    def check(path: Path) -> Sequence[str]:
        return ["perturb", "check", path.name, "-o", "checked.h5ad", "--json"]

    def divide(path: Path) -> Sequence[str]:
        return ["perturb", "split", path.name, "-o", "new.json", "--kind", "additive", "--json"]

    def evaluate(path: Path) -> Sequence[str]:
        return ["perturb", "evaluate", screen, "--split", path.name, "--model", model, "-o", "scores", "--json"]

    def external(path: Path) -> Sequence[str]:
        return ["perturb", "evaluate", screen, "--split", split, "--pred", f"mine={path.name}", "--json"]

    def cell_eval(path: Path) -> Sequence[str]:
        return ["perturb", "cell-eval", path.name, screen, "-o", "pair", "--json"]

    def predict(path: Path) -> Sequence[str]:
        return ["perturb", "predict", path.name, "--split", split, "-o", "cells.h5ad", "--cells", "5", "--json"]

    commands = {
        check: screen,
        divide: screen,
        evaluate: split,
        external: predicted,
        cell_eval: predicted,
        predict: model,
    }
    found = [
        *(Case(f"sound {command.__name__}", beside(path, lambda _: None, command), must="answer")
          for command, path in commands.items()),
        *_parts(screen, check), *_parts(screen, divide), *_parts(predicted, external), *_parts(predicted, cell_eval),
        *_labels(made.data), *_splits(split, evaluate, rng, 10 * amount),
        *damaged_cases(screen, check, rng, 4 * amount), *damaged_cases(predicted, cell_eval, rng, 2 * amount),
        *damaged_cases(predicted, external, rng, 2 * amount), *damaged_cases(split, evaluate, rng, 2 * amount),
        *inside_cases(model, predict, rng, 4 * amount), *_models(model, predict, rng, 10 * amount),
    ]  # fmt: skip
    real = real_file("perturb/papalexi2021_dev.h5ad")
    if real is not None:
        told = ["--control", "non-targeting", "--layout", "plain", "--perturbation", "target"]
        found += damaged_cases(real, lambda path: [*check(path), *told], rng, amount)
    return found


def _parts(original: Path, command: Command) -> Iterator[Case]:
    for part in hdf5_parts(original):
        for kind in KINDS:

            def change(path: Path, part: str = part, kind: str = kind) -> None:
                hdf5_damage(path, part, kind)

            yield Case(f"{command.__name__} {original.name}: {part}, {kind}", beside(original, change, command))


def _labels(data) -> Iterator[Case]:
    """Files without a word on what they are, of every convention, some of whose labels are tricks."""
    plain = screen_to_anndata(data)
    plain.uns.clear()
    label = plain.obs["condition"].astype(str)
    conventions: dict[str, tuple[str, Callable[[str], str], str]] = {
        "gears": ("condition", lambda one: f"{one}+ctrl" if "+" not in one and one != "control" else one, "ctrl"),
        "scperturb": ("perturbation", lambda one: one.replace("+", "_"), "control"),
        "cell_eval": ("target_gene", str, "non-targeting"),
        "plain": ("label", str, "control"),
    }
    tricks = [name.replace("\x00", "\x01") for name in NAMES_THAT_TRICK]
    for layout, (column, text, control) in conventions.items():
        for number, trick in enumerate(["", *tricks]):
            told = ["--layout", layout, "--perturbation", column, "--control", control]

            def prepare(
                place: Path, trick: str = trick, text=text, column: str = column, control: str = control, told=told
            ) -> Sequence[str]:
                adata = plain.copy()
                values = label.map(text).replace("control", control)
                values.iloc[-9:] = trick or values.iloc[-9:]
                adata.obs = adata.obs.drop(columns="condition").assign(**{column: values})
                path = written(adata, place / "screen.h5ad")
                return ["perturb", "check", path.name, "-o", "checked.h5ad", "--json", *told]

            yield Case(f"{layout} with trick {number}", prepare)


def _splits(original: Path, command: Command, rng: np.random.Generator, amount: int) -> Iterator[Case]:
    """Give splits that say they were not changed, and were."""
    text = original.read_text()
    for number in range(amount):
        how, new = json_damage(text, rng)

        def change(path: Path, new: str = new) -> None:
            path.write_text(_sealed(new))

        yield Case(f"split {number}: {how}", beside(original, change, command))
    for name, trick in JSON_TRICKS.items():

        def replace(path: Path, trick: str = trick) -> None:
            path.write_text(trick)

        yield Case(f"split is {name}", beside(original, replace, command), must="refuse")
    for number, trick in enumerate(NAMES_THAT_TRICK):

        def name_it(path: Path, trick: str = trick) -> None:
            content = json.loads(path.read_text())
            content["splits"][0]["name"] = trick
            content["splits"][0]["test"][0] = trick
            path.write_text(_sealed(json.dumps(content)))

        yield Case(f"split with trick {number}", beside(original, name_it, command))


def _models(original: Path, command: Command, rng: np.random.Generator, amount: int) -> Iterator[Case]:
    """Give records of fitted models that fit their hash."""
    record = next(path.name for path in original.glob("*.json"))
    text = (original / record).read_text()
    for number in range(amount):
        how, new = json_damage(text, rng)

        def change(path: Path, new: str = new) -> None:
            (path / record).write_text(_sealed(new))

        yield Case(f"model record {number}: {how}", beside(original, change, command))


def _sealed(text: str) -> str:
    """Give a JSON text the hash that fits it, where it can have one."""
    try:
        content = json.loads(text)
        content.pop("sha256", None)
        content["sha256"] = sha256_text(canonical_json(content))
    except (ValueError, AttributeError, TypeError, RecursionError):
        return text
    return json.dumps(content)
