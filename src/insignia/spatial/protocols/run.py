"""Run a protocol on a download: hold out donors, choose known sections, compare all imputers, write the results."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from insignia.core import keys
from insignia.core.errors import InputError
from insignia.core.progress import progress
from insignia.data import Pose, SectionStack, Split, Transform, known_sections_each
from insignia.spatial.contract import Imputer
from insignia.spatial.evaluation import Evaluation, compare_imputers
from insignia.spatial.features import features as describe
from insignia.spatial.protocols.contract import protocols
from insignia.spatial.registration import register

__all__ = ["Setting", "run_protocol", "run_stacks"]

Setting: TypeAlias = Literal["3d", "2d"]
"""``"3d"``: one section of the donor is known. ``"2d"``: none is, and the image alone predicts every section."""


def run_protocol(
    name: str,
    root: str | Path,
    output: str | Path | None = None,
    *,
    setting: Setting = "3d",
    known: Literal["first", "each"] | Mapping[str, str] = "first",
    donors: Collection[str] | None = None,
    learn_from_others: bool = True,
    methods: Collection[str] | Mapping[str, str | Imputer] | None = None,
    controls: Collection[str] | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    genes: int | Sequence[str] = 250,
    features: str | None = "handcrafted",
    show_progress: bool | None = None,
) -> Evaluation:
    """Compare imputers on a public data set that the user has downloaded.

    Each donor is held out in turn. The panel is chosen on what a method may learn from: the donors that are not held
    out, and the known section.

    Parameters
    ----------
    name
        ``"her2st"``, ``"dlpfc"``, ``"st-data"`` or another entry of `protocols`.
    root
        Folder of the download.
    output
        Folder for the tables (CSV), the averages (JSON) and a page (Markdown); `None` writes nothing.
    setting
        ``"3d"``: one section of the held-out donor is known and the others are scored. ``"2d"``: no section of the
        donor is known, and none is matched with another.
    known
        In 3D the first section in depth, or each in turn, or the section of each donor by name.
    donors
        Donors to hold out; `None` for all. The others are still learnt from.
    learn_from_others
        Whether methods see the donors that are not held out. In 2D they must.
    methods, controls, seeds, genes, features
        See `compare_imputers`. Features are made with this encoder; `None` uses no image.
    show_progress
        `None` shows a bar when standard error is a terminal.

    Raises
    ------
    InputError
        The download is not there, a donor is not in it, or there is nothing to learn from.
    """
    protocol = protocols[name]
    evaluation = run_stacks(
        protocol.read(root),
        setting=setting,
        known=known,
        donors=donors,
        learn_from_others=learn_from_others,
        methods=methods,
        controls=controls,
        seeds=seeds,
        genes=genes,
        features=features,
        show_progress=show_progress,
        title=f"{protocol.title}, {setting.upper()}",
    )
    if output is not None:
        evaluation.write(output)
    return evaluation


def run_stacks(
    stacks: Sequence[SectionStack],
    *,
    setting: Setting = "3d",
    known: Literal["first", "each"] | Mapping[str, str] = "first",
    donors: Collection[str] | None = None,
    learn_from_others: bool = True,
    features: str | None = "handcrafted",
    title: str = "Imputed expression on hidden sections",
    show_progress: bool | None = None,
    **options: Any,
) -> Evaluation:
    """Run a protocol on stacks that have been read, one a donor; see `run_protocol`.

    Parameters
    ----------
    stacks
        Measured sections. Stacks with a pose for every section keep them; the others are registered.
    title
        Of the page with the results.
    options
        For `compare_imputers`.
    """
    by_name = {stack.name: stack for stack in stacks}
    splits = donor_splits(stacks, setting, known, donors, learn_from_others=learn_from_others)
    clock = _Clock()
    described = {name: clock("features", lambda s: _described(s, features), stack) for name, stack in by_name.items()}
    placed = _Placed(described, setting, clock)
    parts = []
    with progress("protocol", len(splits), show=show_progress) as advance:
        for donor, split in splits:
            training = [placed(other) for other in dict.fromkeys(unit.split("/", 1)[0] for unit in split.train)]
            parts.append(
                compare_imputers(
                    placed(donor, known_of(split)),
                    known=known_of(split),
                    training=training,
                    features=features,
                    **options,
                )
            )
            advance(1)
    evaluation = Evaluation.join(parts)
    about = {
        **evaluation.about,
        "title": title,
        "setting": setting,
        "splits": [{"donor": donor, **asdict(split), "fingerprint": split.fingerprint} for donor, split in splits],
        "seconds": _mean_seconds(parts),
        "seconds_of_steps": clock.seconds,
    }
    notes = [f"{stack.name}: {note}" for stack in described.values() for note in stack.notes]
    if setting == "2d":
        notes.append("2D: sections are matched with no other, so that their registration counts as failed")
    return replace(evaluation, about=about, notes=(*evaluation.notes, *notes))


def donor_splits(
    stacks: Sequence[SectionStack],
    setting: Setting,
    known: Literal["first", "each"] | Mapping[str, str],
    donors: Collection[str] | None,
    *,
    learn_from_others: bool,
) -> list[tuple[str, Split]]:
    """Hold out each donor, with each choice of its known section; donors that cannot be scored are refused.

    Raises
    ------
    InputError
        A donor is not there, has too few measured sections, or nothing is left to learn from.
    """
    by_name = {stack.name: stack for stack in stacks}
    if len(by_name) < len(stacks):
        raise InputError(f"Each donor is one stack with a name of its own, found {[stack.name for stack in stacks]}.")
    found = []
    for donor in by_name if donors is None else donors:
        if donor not in by_name:
            raise InputError(f"There is no donor {donor!r}; there are {', '.join(by_name)}.")
        others = [unit for name, stack in by_name.items() if name != donor for unit in _units(stack)]
        train = others if learn_from_others or setting == "2d" else []
        found += [(donor, split) for split in _of_donor(by_name[donor], setting, known, train)]
    return found


def known_of(split: Split) -> tuple[str, ...]:
    """Return the names, within their stack, of the sections that a split gives away."""
    return tuple(unit.split("/", 1)[1] for unit in split.given)


def _units(stack: SectionStack) -> list[str]:
    return [f"{stack.name}/{section}" for section in stack.measured]


def _of_donor(
    stack: SectionStack, setting: Setting, known: Literal["first", "each"] | Mapping[str, str], train: Sequence[str]
) -> list[Split]:
    if setting == "2d":
        if not train:
            raise InputError("In 2D other donors are all that can be learnt from, and there is none.")
        return [Split(f"{stack.name} from its images", tuple(train), tuple(_units(stack)))]
    if len(stack.measured) < 2:
        raise InputError(
            f"Donor {stack.name!r} has {len(stack.measured)} measured section, and one is given to predict the others. "
            "Leave the donor out with donors=, or use setting='2d'."
        )
    splits = known_sections_each(_units(stack), train=train)
    if known == "each":
        return list(splits)
    chosen = stack.measured[0] if known == "first" else dict(known).get(stack.name, stack.measured[0])
    by_known = {known_of(split)[0]: split for split in splits}
    if chosen not in by_known:
        raise InputError(f"{chosen!r} is no measured section of {stack.name!r}: {', '.join(stack.measured)}.")
    return [by_known[chosen]]


class _Clock:
    """Adds up the seconds of each step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, step: str, call: Callable[..., SectionStack], *arguments: Any) -> SectionStack:
        start = time.perf_counter()
        result = call(*arguments)
        self.seconds[step] = round(self.seconds.get(step, 0.0) + time.perf_counter() - start, 3)
        return result


class _Placed:
    """Stacks with poses, registered once for each reference; in 2D without any match between sections."""

    def __init__(self, stacks: Mapping[str, SectionStack], setting: Setting, clock: _Clock) -> None:
        self._stacks, self._setting, self._clock = stacks, setting, clock
        self._done: dict[tuple[str, str], SectionStack] = {}

    def __call__(self, donor: str, known: Sequence[str] = ()) -> SectionStack:
        stack = self._stacks[donor]
        if self._setting == "2d":
            return unmatched(stack)
        if all(section.pose is not None for section in stack):
            return stack
        reference = known[0] if known else (stack.measured or stack.names)[0]
        if (donor, reference) not in self._done:
            self._done[donor, reference] = self._clock(
                "registration", lambda s: register(s, reference=reference), stack
            )
        return self._done[donor, reference]


def unmatched(stack: SectionStack) -> SectionStack:
    """Give every section a pose by which it is matched with no other."""
    pose = Pose(Transform.identity(), "failed", "none, 2D")
    return stack.with_sections({section.name: replace(section, pose=pose) for section in stack})


def _described(stack: SectionStack, encoder: str | None) -> SectionStack:
    if encoder is None or not any(section.image is not None for section in stack):
        return stack
    if all(keys.features(encoder) in section.spots.obsm for section in stack if section.image is not None):
        return stack
    return describe(stack, encoder=encoder, show_progress=False)


def _mean_seconds(parts: Iterable[Evaluation]) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for part in parts:
        for method, seconds in part.about["seconds"].items():
            found.setdefault(method, []).append(seconds)
    return {method: round(float(np.mean(seconds)), 3) for method, seconds in found.items()}
