"""A screen and an atlas that share two gene programs: one acts in each of two diseases, and none in others."""

from dataclasses import replace

import numpy as np
from tests.workflows.ms1_atlas import cohort_atlas

from insignia.data import simulate_screen

PLANTED = {"ALPHA": 6, "BETA": 7}
"""Gene names of the two, and which programs of the screen they are; the first six move in many perturbations."""
DISEASES = {"ALPHA": "Kawasaki disease", "BETA": "septic shock"}
MONOCYTES = "cell_type = 'classical monocyte'"


def shared_screen(seed=0, **options):
    """Simulate a screen; its other genes have names of genes of the atlas that belong to no program."""
    sizes = {"n_genes": 160, "n_programs": 10, "n_perturbations": 40, "n_doubles": 0, "cells_per_condition": 60}
    screen = simulate_screen(rng=seed, **sizes, n_controls=300, **options)
    names = [f"GENE{number + 1:04d}" for number in np.random.default_rng(seed).permutation(160)]
    for name, program in PLANTED.items():
        for number, place in enumerate(np.flatnonzero(screen.truth.loadings[program] > 0)):
            names[place] = f"{name}{number + 1}"
    return replace(screen, data=replace(screen.data, genes=tuple(names)))


def shared_atlas(path, screen, seed=1):
    """Make an atlas in whose monocytes the programs act, each in its disease."""
    programs = {name: [gene for gene in screen.data.genes if gene.startswith(name)] for name in PLANTED}
    strengths = {(disease, "classical monocyte", name): 0.8 for name, disease in DISEASES.items()}
    sizes = {"n_studies": 20, "samples_per_study": 9, "cells_per_sample": 40, "n_genes": 580}
    return cohort_atlas(path, seed, programs=programs, strengths=strengths, **sizes)
