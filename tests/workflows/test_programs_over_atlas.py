"""Programs and effects found in a screen, searched over an atlas that shares two of them."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from tests.workflows.shared_programs import DISEASES, MONOCYTES, PLANTED, shared_atlas, shared_screen

from insignia.core import keys
from insignia.data import Condition
from insignia.genes import Signature
from insignia.perturb import gene_effects, induce_programs, program_loadings
from insignia.stats import closest_in_mean, draw_sets


@pytest.fixture(scope="module")
def screen():
    return shared_screen()


@pytest.fixture(scope="module")
def shared(screen, tmp_path_factory):
    return shared_atlas(tmp_path_factory.mktemp("shared") / "atlas", screen)


@pytest.fixture(scope="module")
def atlas(shared):
    return shared[0]


@pytest.fixture(scope="module")
def programs(screen):
    return induce_programs(screen.data, n_programs=10)


def in_disease(atlas, disease, signatures):
    """Rank signatures in monocytes of a disease against those of healthy donors."""
    return atlas.rank_programs(
        f"{MONOCYTES} AND disease = '{disease}'",
        reference=f"{MONOCYTES} AND disease = 'normal'",
        signatures=signatures,
        min_cells=5,
    ).programs


def of_planted(programs, name):
    """Name of the program that holds most genes of a planted one."""
    return max(programs.members, key=lambda one: sum(gene.startswith(name) for gene in programs.members[one]))


def matched_sets(cohort, genes, n_sets):
    """Random sets of other genes of the atlas, as many and as strongly attributed as those of a program."""
    means = [study.to_df(layer=keys.ATTRIBUTION).mean() for study in cohort.studies]
    mean = pd.concat(means, axis=1).mean(axis=1)
    places = mean.index.get_indexer(genes)
    others = np.flatnonzero(~mean.index.str.startswith(tuple(PLANTED)))
    pools = closest_in_mean(mean.to_numpy(), places, np.tile(others, (len(places), 1)), n=20)
    sets = draw_sets(pools, n_sets=n_sets, rng=np.random.default_rng(0))
    return [Signature.from_genes(mean.index[one], f"random{k}") for k, one in enumerate(sets)]


def test_programs_of_a_screen_are_found_in_the_disease_in_which_they_act(screen, shared, programs):
    """The program comes first and is called, in its disease alone; neither other programs nor random sets are."""
    atlas, cohort = shared
    signed = programs.signatures(program_loadings(programs, screen.data))
    everywhere = (
        atlas.screen(signed, where=MONOCYTES).compare("disease", reference="normal", min_cells=5, n_intervals=0).table
    )
    for name, disease in DISEASES.items():
        mine = of_planted(programs, name)
        made = next(one for one in signed if one.name == mine)
        raised = [gene for gene, weight in zip(made.genes, made.weight_array, strict=True) if weight > 0]
        table = in_disease(atlas, disease, [*signed, *matched_sets(cohort, raised, 12)])
        assert table["signature"].iloc[0] == mine
        assert table["q"].iloc[0] <= 0.05
        assert table["shift"].iloc[0] > 0
        assert not (table["q"].iloc[1:] <= 0.05).any()
        called = everywhere[(everywhere["signature"] == mine) & (everywhere["q"] <= 0.05)]
        assert called["group"].tolist() == [disease]


def test_the_effect_of_a_perturbation_appears_where_its_program_acts(screen, atlas):
    """Perturbations that raise the program look like its disease, those that lower it like its opposite."""
    names = [str(one) for one in screen.data.conditions if not one.is_control]
    signatures = gene_effects(screen.data, names).signatures(n_genes=40)
    compared = (
        atlas.screen(signatures, where=MONOCYTES)
        .compare("disease", reference="normal", min_cells=5, n_intervals=0)
        .table
    )
    for name, disease in DISEASES.items():
        true = {one: screen.truth.effect(Condition.parse(one))[PLANTED[name]] for one in names}
        table = compared[compared["group"] == disease].set_index("signature")
        moved = [one for one in table.index if abs(true[one]) > 0.3]
        assert len(moved) >= 3
        assert (np.sign(table.loc[moved, "shift"]) == np.sign([true[one] for one in moved])).all()
        agree = spearmanr([true[one] for one in table.index], table["shift"]).statistic
        elsewhere = compared[compared["group"] == "asthma"].set_index("signature").loc[table.index, "shift"]
        assert agree > 0.5
        assert abs(spearmanr([true[one] for one in table.index], elsewhere).statistic) < agree
