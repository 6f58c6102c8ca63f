"""What went wrong while a simulated section was cut and mounted, as maps from the slide back to intact tissue."""

from dataclasses import dataclass, field

import numpy as np

from insignia.data.transform import Transform

__all__ = ["Corner", "Cut", "Fold", "Intact", "Tear", "draw_damage"]


@dataclass(frozen=True, eq=False)
class Intact:
    """Where points of the slide lay in the intact section.

    Parameters
    ----------
    points_um
        (points, 2) in the intact section.
    margin_um
        (points,) how far the point lies inside what is left; negative where nothing is.
    is_displaced
        (points,) whether the point belongs to a piece that moved against the main one.
    """

    points_um: np.ndarray
    margin_um: np.ndarray
    is_displaced: np.ndarray


@dataclass(frozen=True, eq=False)
class Cut:
    """A wavy line across the tissue.

    Parameters
    ----------
    through_um
        (2,) a point of the line.
    normal
        (2,) unit vector towards the smaller side.
    waves
        (waves, 3) amplitude and wavelength, both in micrometres, and phase.
    """

    through_um: np.ndarray
    normal: np.ndarray
    waves: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))

    @classmethod
    def draw(cls, size_um: float, rng: np.random.Generator, *, offset: tuple[float, float], ragged_um: float) -> "Cut":
        """Draw a line in any direction, at a distance from the centre within `offset`, a fraction of the edge."""
        angle = rng.uniform(0.0, 2 * np.pi)
        normal = np.array([np.cos(angle), np.sin(angle)])
        lengths = size_um * np.array([0.8, 0.31, 0.13, 0.06])
        amplitudes = ragged_um * np.array([2.0, 0.8, 0.4, 0.25]) * rng.uniform(0.6, 1.4, 4)
        waves = np.column_stack([amplitudes, lengths, rng.uniform(0.0, 2 * np.pi, 4)])
        return cls(size_um / 2 + normal * rng.uniform(*offset) * size_um, normal, waves)

    def beyond_um(self, points_um: np.ndarray) -> np.ndarray:
        """How far points lie on the smaller side, (points,); negative on the other."""
        offset = points_um - self.through_um
        along = offset @ np.array([-self.normal[1], self.normal[0]])
        beyond: np.ndarray = offset @ self.normal
        for amplitude, length, phase in self.waves:
            beyond = beyond - amplitude * np.sin(2 * np.pi * along / length + phase)
        return beyond


@dataclass(frozen=True, eq=False)
class Corner:
    """Everything beyond a cut is missing."""

    cut: Cut

    def undo(self, points_um: np.ndarray) -> Intact:
        """Say where points of the slide lay in the intact section."""
        beyond = self.cut.beyond_um(points_um)
        return Intact(points_um, -beyond, np.zeros(len(points_um), dtype=bool))


@dataclass(frozen=True, eq=False)
class Tear:
    """The piece beyond a cut moved away and turned a little, and left a gap."""

    cut: Cut
    motion: Transform

    @classmethod
    def draw(cls, cut: Cut, rng: np.random.Generator) -> "Tear":
        """Open the gap by 80 to 160 micrometres and up to 4 degrees."""
        away = cut.normal * rng.uniform(80.0, 160.0)
        return cls(cut, Transform.rigid(rng.uniform(-4.0, 4.0), away, about_um=cut.through_um))

    def undo(self, points_um: np.ndarray) -> Intact:
        """Say where points of the slide lay in the intact section."""
        back = self.motion.inverse().apply(points_um)
        main, piece = -self.cut.beyond_um(points_um), self.cut.beyond_um(back)
        is_displaced = (main < 0) & (piece > main)
        points = np.where(is_displaced[:, None], back, points_um)
        return Intact(points, np.maximum(main, piece), is_displaced)


@dataclass(frozen=True, eq=False)
class Fold:
    """A strip lies in three layers, and what is beyond it was drawn near."""

    cut: Cut
    width_um: float

    def undo(self, points_um: np.ndarray) -> Intact:
        """Say where points of the slide lay in the intact section; within the strip, for the lowest layer."""
        is_displaced = self.cut.beyond_um(points_um) > self.width_um
        points = points_um + 2 * self.width_um * self.cut.normal * is_displaced[:, None]
        return Intact(points, np.full(len(points), np.inf), is_displaced)

    def is_folded(self, points_um: np.ndarray) -> np.ndarray:
        """Whether points of the slide lie in the strip, (points,)."""
        beyond = self.cut.beyond_um(points_um)
        return (beyond >= 0) & (beyond <= self.width_um)


Damage = Corner | Tear | Fold


def draw_damage(kinds: tuple[str, ...], size_um: float, rng: np.random.Generator) -> tuple[Damage, ...]:
    """Draw what moves or takes away tissue, in the order in which it is undone; other kinds are no matter of places."""
    drawn: list[Damage] = []
    if "corner" in kinds:
        drawn.append(Corner(Cut.draw(size_um, rng, offset=(0.14, 0.22), ragged_um=0.012 * size_um)))
    if "tear" in kinds:
        drawn.append(Tear.draw(Cut.draw(size_um, rng, offset=(0.08, 0.18), ragged_um=0.012 * size_um), rng))
    if "fold" in kinds:
        cut = Cut.draw(size_um, rng, offset=(0.05, 0.2), ragged_um=0.003 * size_um)
        drawn.append(Fold(cut, rng.uniform(0.02, 0.035) * size_um))
    return tuple(drawn)
