"""Data that enter and leave: files, expression in blocks, metadata, attributions, sections, splits and simulators."""

from insignia.data.attributed import Attributed
from insignia.data.attribution_record import AttributionRecord
from insignia.data.census import read_census
from insignia.data.cohort import simulate_cohort
from insignia.data.cohort_truth import Cohort, CohortOptions, CohortTruth
from insignia.data.condition import Condition, GenePerturbation
from insignia.data.donor_hits import DonorHitOptions, simulate_donor_hits
from insignia.data.expression import Cells, Expression
from insignia.data.gene_priors import GeneEmbedding, GeneNetwork, GenePriors
from insignia.data.hidden_counts import hide_counts, reveal_counts
from insignia.data.input_space import InputSpace, check_space, detect_space
from insignia.data.labels import SEPARATOR, join_labels, split_labels
from insignia.data.metadata import standardise_obs
from insignia.data.metadata_map import MetadataMap, bundled_maps, metadata_map
from insignia.data.perturbation import PerturbationData
from insignia.data.perturbation_splits import (
    additive_split,
    combo_split,
    single_folds,
    unseen_context_split,
    unseen_genes_split,
)
from insignia.data.planted import Planted, simulate_planted
from insignia.data.pseudobulk import pseudobulk
from insignia.data.readers import read, write_h5ad
from insignia.data.screen import SimulatedScreen, simulate_screen
from insignia.data.screen_file import screen_to_anndata, write_screen
from insignia.data.screen_readers import read_screen, screen_readers
from insignia.data.screen_world import ScreenOptions, ScreenWorld
from insignia.data.section_image import SectionImage
from insignia.data.section_readers import read_stack, read_stacks, stack_from_anndata
from insignia.data.sections import Pose, Section, SectionStack
from insignia.data.serial_options import DAMAGES, Handling, SerialOptions
from insignia.data.serial_sections import simulate_donors, simulate_sections
from insignia.data.serial_truth import SectionTruth, SimulatedStack, StackTruth
from insignia.data.spatialdata_stack import to_spatialdata, write_spatialdata
from insignia.data.split_file import read_split, read_splits, write_splits
from insignia.data.splits import Split, k_fold, known_sections_each, leave_one_out
from insignia.data.stack_folder import write_stack
from insignia.data.tables import write_table
from insignia.data.tissue_fields import TISSUES
from insignia.data.tissue_genes import GENE_GROUPS
from insignia.data.transform import Transform

__all__ = [
    "DAMAGES",
    "GENE_GROUPS",
    "SEPARATOR",
    "TISSUES",
    "Attributed",
    "AttributionRecord",
    "Cells",
    "Cohort",
    "CohortOptions",
    "CohortTruth",
    "Condition",
    "DonorHitOptions",
    "Expression",
    "GeneEmbedding",
    "GeneNetwork",
    "GenePerturbation",
    "GenePriors",
    "Handling",
    "InputSpace",
    "MetadataMap",
    "PerturbationData",
    "Planted",
    "Pose",
    "ScreenOptions",
    "ScreenWorld",
    "Section",
    "SectionImage",
    "SectionStack",
    "SectionTruth",
    "SerialOptions",
    "SimulatedScreen",
    "SimulatedStack",
    "Split",
    "StackTruth",
    "Transform",
    "additive_split",
    "bundled_maps",
    "check_space",
    "combo_split",
    "detect_space",
    "hide_counts",
    "join_labels",
    "k_fold",
    "known_sections_each",
    "leave_one_out",
    "metadata_map",
    "pseudobulk",
    "read",
    "read_census",
    "read_screen",
    "read_split",
    "read_splits",
    "read_stack",
    "read_stacks",
    "reveal_counts",
    "screen_readers",
    "screen_to_anndata",
    "simulate_cohort",
    "simulate_donor_hits",
    "simulate_donors",
    "simulate_planted",
    "simulate_screen",
    "simulate_sections",
    "single_folds",
    "split_labels",
    "stack_from_anndata",
    "standardise_obs",
    "to_spatialdata",
    "unseen_context_split",
    "unseen_genes_split",
    "write_h5ad",
    "write_screen",
    "write_spatialdata",
    "write_splits",
    "write_stack",
    "write_table",
]
