"""What was saved to be read again: image encoders, features of spots, fitted predictors and ASIGN."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tests.lookalikes import image_encoders, section_folders
from tests.spatial.spot_stacks import stack

from benchmarks.attack.case import Case
from benchmarks.attack.inputs.checkpoints import changes
from benchmarks.attack.mutations import json_damage
from benchmarks.attack.pickles import codes
from insignia import perturb
from insignia.core.files import canonical_json, sha256_text
from insignia.data import read_stack, simulate_screen, write_stack
from insignia.spatial.asign import AsignOptions, fit_asign, load_asign, save_asign
from insignia.training import TrainOptions

__all__ = ["cases"]

FEATURES = ("spatial", "features", "stack", "-o", "out", "--scale-um", "200", "--encoder")
PREDICT = ("perturb", "predict", "model", "P1", "-o", "out.h5ad", "--means")
SIZES = {"n_genes": 40, "n_perturbations": 6, "n_doubles": 4, "cells_per_condition": 8, "n_controls": 30}

Change = Callable[[Path], object]
Work = Sequence[str] | Callable[[], object]


def cases(folder: Path, rng: np.random.Generator, amount: int) -> list[Case]:
    """Change one file of each kind, and use it."""
    made = []
    for place, work in _originals(folder).items():
        files = sorted(item for item in (folder / place).iterdir())
        made += [
            _case(
                folder, f"{place} {file.name}: {what}", place, lambda model, f=file, c=change: c(model / f.name), work
            )
            for file in files
            for what, change in _changes(file, rng, amount)
        ]
    for place, record, work in (("fitted", "model.json", PREDICT), ("asign", "asign.json", _load_asign)):
        for what, change in _signed(folder / place / record, rng, 10 * amount):
            made.append(_case(folder, f"{place} signed: {what}", place, change, work))
    return made


def _load_asign() -> None:
    load_asign("model")


def _originals(folder: Path) -> dict[str, Work]:
    """Write sound originals; what is done with each of them as ``model``."""
    section_folders.stutility(folder / "source")
    pictured = read_stack(folder / "source")
    write_stack(pictured, folder / "stack", images="copy")
    image_encoders.save_timm(folder / "vit", image_encoders.timm_vit(), mean=[0.5] * 3)
    (folder / "resnet").mkdir()
    torch.save(image_encoders.torchvision_resnet(), folder / "resnet" / "model.pt")
    (folder / "features").mkdir()
    names = [f"{section.name}:{spot}" for section in pictured for spot in section.spots.obs_names]
    values = np.random.default_rng(0).normal(size=(len(names), 3)).astype(np.float32)
    np.savez(folder / "features" / "model.npz", features=values, barcodes=np.array(names))
    pd.DataFrame(values, index=names, columns=list("abc")).to_parquet(folder / "features" / "model.parquet")
    screen = simulate_screen(rng=0, **SIZES)
    fitted = perturb.fit(screen.data, method="ridge_embedding", priors=screen.priors, show_progress=False)
    fitted.save(folder / "fitted")
    spots = stack(side=5, sections=2, features=3, genes=4, seed=1)
    counts = np.random.default_rng(0).normal(size=(len(spots), 4)).astype(np.float32)
    full = replace(spots, expression=counts, is_known=np.ones(len(spots), dtype=bool))
    options = AsignOptions(n_members=1, width=16, heads=2, train=TrainOptions(epochs=1, patience=0))
    save_asign(fit_asign(full.hide(full.section == 0), training=[full], options=options, seed=0), folder / "asign")
    return {
        "vit": (*FEATURES, "vit:model"),
        "resnet": (*FEATURES, "resnet:model"),
        "features": (*FEATURES, "precomputed:model/model.npz"),
        "fitted": PREDICT,
        "asign": _load_asign,
    }


def _case(folder: Path, name: str, place: str, change: Change, work: Work) -> Case:
    def prepare(here: Path) -> Work:
        shutil.copytree(folder / place, here / "model")
        if not callable(work) and work[0] == "spatial":
            shutil.copytree(folder / "stack", here / "stack")
        change(here / "model")
        return work

    return Case(name, prepare, seconds=60.0)


def _changes(file: Path, rng: np.random.Generator, amount: int) -> Iterator[tuple[str, Change]]:
    yield from changes(file, rng, amount)
    if file.suffix == ".npz":
        with np.load(file) as arrays:
            content = dict(arrays)
        for what, value in codes().items():
            objects = np.array([value] * 3, dtype=object)
            for name in content:
                yield f"{name} is {what}", lambda path, n=name, o=objects: np.savez(path, **{**content, n: o})
        for value in (np.nan, np.inf, 1e38):
            filled = np.full_like(content["features"], value)
            yield f"features of {value}", lambda path, f=filled: np.savez(path, **{**content, "features": f})


def _signed(record: Path, rng: np.random.Generator, amount: int) -> Iterator[tuple[str, Change]]:
    """Change the record of a folder of arrays, and sign it anew, as whoever wants to deceive would."""
    content = json.loads(record.read_text())
    content.pop("sha256")
    text = json.dumps(content)
    for _ in range(amount):
        what, changed = json_damage(text, rng)
        yield what, lambda model, changed=changed: _sign(model / record.name, changed)
    for place in _numbers(content):
        for number in (0, -1, 10**6, 10**12, 1e300, 0.5):
            yield (
                f"{'/'.join(map(str, place))} is {number}",
                lambda model, p=place, n=number: _sign(model / record.name, json.dumps(_with(content, p, n))),
            )


def _sign(path: Path, text: str) -> None:
    try:
        content = json.loads(text)
        content["sha256"] = sha256_text(canonical_json(content))
        text = json.dumps(content)
    except (ValueError, TypeError, RecursionError):  # what has no hash is written as it is
        pass
    path.write_text(text)


def _numbers(content: object, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where whole numbers stand."""
    if isinstance(content, int) and not isinstance(content, bool):
        yield place
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in list(items)[:12]:
        yield from _numbers(value, (*place, key))


def _with(content: dict, place: Sequence[str | int], value: object) -> dict:
    made = json.loads(json.dumps(content))
    holder = made
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    return made
