"""Simulated serial sections with images and counts, of which everything is known: a ground for testing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd
from anndata import AnnData

from insignia.core import keys
from insignia.data.histology_rendering import NODE_UM, Scene, render
from insignia.data.histology_stain import Stain
from insignia.data.histology_textures import Textures
from insignia.data.section_image import SectionImage
from insignia.data.section_placement import Placement, slide_size_um
from insignia.data.sections import Section, SectionStack
from insignia.data.serial_options import SerialOptions
from insignia.data.serial_truth import SectionTruth, SimulatedStack, StackTruth
from insignia.data.tissue_fields import TISSUES, TissueFields
from insignia.data.tissue_genes import TissueGenes, measure

__all__ = ["simulate_donors", "simulate_sections"]

_BAD_STAIN: Final = 0.35


def simulate_sections(
    options: SerialOptions | None = None,
    *,
    name: str = "block",
    rng: int | np.random.Generator = 0,
) -> SimulatedStack:
    """Simulate serial sections of one block of tissue, each with its image, spots, counts and pose.

    Genes are of four groups (`GENE_GROUPS`): the image predicts A, neighbouring sections predict B, both predict C,
    and nothing predicts D. Every section has random streams of its own, so that a change of what is done to one
    section leaves the others as they were.

    Parameters
    ----------
    options
        Size, handling and damage; `None` takes the defaults.
    name
        Of the block.
    rng
        Seed or generator. Equal seeds give bit-equal stacks.
    """
    options = SerialOptions() if options is None else options
    rng = np.random.default_rng(rng)
    genes = TissueGenes.make(options.genes_per_group, rng)
    return _simulate(options, name, genes, rng)


def simulate_donors(
    n_donors: int,
    options: SerialOptions | None = None,
    *,
    rng: int | np.random.Generator = 0,
) -> list[SimulatedStack]:
    """Simulate blocks of several donors, in whom the same genes follow the same tissues.

    Each donor has fields, sections and levels of genes of their own; what tissue types and invisible fields do to
    genes is shared.

    Parameters
    ----------
    n_donors
        Number of stacks, called ``donor1``, ``donor2``, ...
    options
        Size, handling and damage of every stack; `None` takes the defaults.
    rng
        Seed or generator. The first donors are the same however many follow.
    """
    options = SerialOptions() if options is None else options
    rng = np.random.default_rng(rng)
    genes = TissueGenes.make(options.genes_per_group, rng)
    seeds = rng.integers(2**63, size=n_donors)
    stacks = []
    for number, seed in enumerate(seeds):
        own = np.random.default_rng(seed)
        stacks.append(_simulate(options, f"donor{number + 1}", genes.of_donor(own), own))
    return stacks


@dataclass(frozen=True, eq=False)
class _Slide:
    """One section on its slide: which fields it shows, and how it was mounted."""

    fields: TissueFields
    depth: int
    placement: Placement
    edge_um: float

    def tissue(self, points_um: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Points in the common frame, margin inside what tissue is left, and whether it moved."""
        place = self.placement.to_common(points_um)
        margin = np.minimum(place.margin_um, self.fields.margin_um(self.depth, place.points_um))
        return place.points_um, margin, place.is_displaced


def _simulate(options: SerialOptions, name: str, genes: TissueGenes, rng: np.random.Generator) -> SimulatedStack:
    z_um = options.spacing_um * np.arange(options.n_sections)
    fields = TissueFields.make(z_um, options.size_um, rng)
    seeds = rng.integers(2**63, size=options.n_sections)
    edge_um = slide_size_um(options.handling, options.size_um)
    textures = None
    if options.with_images:
        textures = Textures.draw(int(np.ceil(edge_um / options.um_per_px)), options.um_per_px, rng)
    sections, truths = [], {}
    for depth, (section, seed) in enumerate(zip(options.names, seeds, strict=True)):
        streams = np.random.default_rng(seed).spawn(5)
        kinds = options.damage_of(section)
        shown = TissueFields.make(z_um[:1], options.size_um, streams[0]) if "foreign" in kinds else fields
        placement = Placement.draw(options.handling, options.size_um, kinds, streams[1])
        slide = _Slide(shown, 0 if "foreign" in kinds else depth, placement, edge_um)
        spots, truth = _measured(slide, genes, options, f"{name}-{section}", streams[2])
        image = None
        if textures is not None and "no_image" not in kinds:
            image, mask = _photographed(slide, textures, options, kinds, streams[3])
            truth = replace(truth, mask=mask)
        sections.append(Section(section, float(z_um[depth]), spots, image))
        transform = None if "foreign" in kinds else placement.transform
        truths[section] = replace(truth, transform=transform, damage=kinds)
    stack = SectionStack(name, tuple(sections), options.pitch_um)
    return SimulatedStack(stack, StackTruth(truths, _gene_table(genes)), options)


def _measured(
    slide: _Slide, genes: TissueGenes, options: SerialOptions, prefix: str, rng: np.random.Generator
) -> tuple[AnnData, SectionTruth]:
    points = _lattice(options, slide.edge_um, rng)
    common, margin, is_displaced = slide.tissue(points)
    kept = margin > 0
    points, common, is_displaced = points[kept], common[kept], is_displaced[kept]
    composition, hidden = slide.fields.composition(slide.depth, common), slide.fields.hidden(slide.depth, common)
    log_rates = genes.log_rates(composition, hidden)
    names = pd.Index([f"{prefix}-{number + 1:04d}" for number in range(len(points))])
    spots = AnnData(
        measure(log_rates, options.depth, rng),
        obs=pd.DataFrame(index=names),
        var=pd.DataFrame(index=genes.names),
        obsm={keys.SPATIAL: points},
    )
    truth = SectionTruth(
        rates=np.exp(log_rates),
        composition=pd.DataFrame(composition, index=names, columns=list(TISSUES)),
        hidden=hidden,
        common_um=common,
        is_displaced=is_displaced,
        transform=None,
        mask=None,
        damage=(),
    )
    return spots, truth


def _lattice(options: SerialOptions, edge_um: float, rng: np.random.Generator) -> np.ndarray:
    """Spots over the whole slide, (spots, 2), from a random corner."""
    pitch = options.pitch_um
    rise = pitch * (np.sqrt(3) / 2 if options.lattice == "hexagonal" else 1.0)
    y, x = (part.ravel() for part in np.mgrid[: np.ceil(edge_um / rise), : np.ceil(edge_um / pitch)])
    lean = 0.5 * (y % 2) if options.lattice == "hexagonal" else 0.0
    offset = rng.uniform(-1, 0, 2) * [pitch, 2 * rise]
    points = np.column_stack([(x + lean) * pitch, y * rise]) + offset + [0.0, rise]
    inside: np.ndarray = points[(points > 0).all(axis=1) & (points < edge_um).all(axis=1)]
    return inside


def _photographed(
    slide: _Slide, textures: Textures, options: SerialOptions, kinds: Sequence[str], rng: np.random.Generator
) -> tuple[SectionImage, np.ndarray]:
    scale = options.um_per_px
    edge = int(np.ceil(slide.edge_um / scale))
    step = max(1, round(NODE_UM / scale))
    nodes = np.arange(0, edge + step, step)
    y, x = (part.ravel() for part in np.meshgrid(nodes, nodes, indexing="ij"))
    points = (np.column_stack([x, y]) + 0.5) * scale
    common, margin, _ = slide.tissue(points)
    shape = (len(nodes), len(nodes))
    scene = Scene(
        height=edge,
        width=edge,
        um_per_px=scale,
        step=step,
        composition=slide.fields.composition(slide.depth, common).T.reshape(-1, *shape),
        margin_um=margin.reshape(shape),
        is_folded=slide.placement.is_folded(points).reshape(shape),
    )
    stain = Stain.draw(_BAD_STAIN if "stain" in kinds else options.handling.stain, rng)
    pixels, mask = render(scene, textures, stain, rng, with_pen="pen" in kinds)
    return SectionImage(pixels, scale), mask


def _gene_table(genes: TissueGenes) -> pd.DataFrame:
    table = pd.DataFrame({"group": genes.groups, "level": genes.level}, index=genes.names)
    for tissue, effect in zip(TISSUES, genes.visible, strict=True):
        table[tissue] = effect
    for number, effect in enumerate(genes.hidden):
        table[f"hidden{number + 1}"] = effect
    return table
