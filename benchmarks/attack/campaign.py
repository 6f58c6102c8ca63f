"""Run families of hostile inputs, all of them or a sample, and count."""

import pkgutil
import tempfile
import time
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import numpy as np

from benchmarks.attack import inputs
from benchmarks.attack.case import Case
from benchmarks.attack.judge import judge, warm_up

__all__ = ["Tally", "attack", "families"]


@dataclass
class Tally:
    """What was tried, answered, refused and lost; `losses` says which and why."""

    tried: int = 0
    answered: int = 0
    refused: int = 0
    lost: int = 0
    losses: list[str] = field(default_factory=list)


def families() -> list[str]:
    """Names of all families, which are those of the modules in `inputs`."""
    return sorted(module.name for module in pkgutil.iter_modules(inputs.__path__))


def attack(
    family: str, *, seed: int = 0, amount: int = 5, sample: int | None = None, seconds: float = np.inf, show=print
) -> Tally:
    """Run the cases of a family in random order, or a sample of them, until there are no more or time is up."""
    warm_up()
    rng = np.random.default_rng([seed, *family.encode()])
    end = time.monotonic() + seconds
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="originals-") as name:
        cases: list[Case] = import_module(f"{inputs.__name__}.{family}").cases(Path(name), rng, amount)
        for place in rng.permutation(len(cases))[:sample].tolist():
            if time.monotonic() > end:
                break
            verdict = judge(cases[place])
            tally.tried += 1
            setattr(tally, verdict.how, getattr(tally, verdict.how) + 1)
            if verdict.is_lost:
                tally.losses.append(f"{family}: {cases[place].name}: {verdict.why}")
                show(f"lost: {tally.losses[-1]}", flush=True)
    return tally
