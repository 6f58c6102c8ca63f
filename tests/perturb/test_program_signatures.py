"""Programs as signatures: what each gene weighs in its program, and that all that takes signatures takes them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from insignia import tl
from insignia.core.errors import InputError
from insignia.data import screen_to_anndata, simulate_screen
from insignia.genes import read_gmt, write_gmt
from insignia.perturb import Programs, fit, induce_programs, program_loadings, rank
from insignia.spatial.signature_scores import read_signatures


@pytest.fixture(scope="module")
def screen():
    return simulate_screen(rng=0, n_perturbations=8, n_doubles=0, cells_per_condition=60, n_controls=300, n_genes=128)


@pytest.fixture(scope="module")
def programs(screen):
    return induce_programs(screen.data, n_programs=16)


@pytest.fixture(scope="module")
def loadings(programs, screen):
    return program_loadings(programs, screen.data)


def test_loadings_have_the_signs_that_were_planted(screen, programs, loadings):
    """Up to one sign a program, which is that of the majority."""
    agree = []
    for name, genes in programs.members.items():
        places = [screen.data.genes.index(gene) for gene in genes]
        kinds = screen.truth.program[places]
        own = [place for place, kind in zip(places, kinds, strict=True) if kind == np.bincount(kinds).argmax()]
        true = np.sign(screen.truth.loadings[screen.truth.program[own], own])
        found = np.sign(loadings.iloc[own])
        assert found.sum() >= 0, name
        agree.append(abs((true * found).mean()))
    assert np.mean(agree) > 0.9
    assert loadings.abs().max() <= 1


def test_a_gene_lends_itself_no_weight(screen, programs, loadings):
    """A gene of pure noise goes with no program, though it is in one; a gene that is alone gets 0."""
    gene = int(np.argmax(loadings.to_numpy()))
    values = screen.data.expression.toarray()
    values[:, gene] = np.random.default_rng(0).permutation(values[:, gene])
    noisy = replace(screen.data, expression=csr_matrix(values))
    assert abs(program_loadings(programs, noisy).iloc[gene]) < 0.1
    assert loadings.iloc[gene] > 0.7
    values = screen.data.expression.toarray()
    for place in range(3):
        values[:, place] = np.random.default_rng(place).permutation(values[:, place])
    noise = Programs(programs.genes, np.r_[0, 0, 0, np.full(125, 1)], ("noise", "rest"), "given")
    alone = program_loadings(noise, replace(screen.data, expression=csr_matrix(values)))
    assert alone.iloc[:3].abs().max() < 0.2
    lonely = Programs(programs.genes, np.r_[0, np.full(127, 1)], ("a", "b"), "given")
    assert program_loadings(lonely, screen.data).iloc[0] == 0
    without = Programs(programs.genes, np.r_[-1, np.zeros(127, dtype=int)], ("a",), "given")
    assert np.isnan(program_loadings(without, screen.data).iloc[0])


def test_programs_are_signatures_with_a_source(programs, loadings):
    plain = programs.signatures(prefix="mine ")
    assert [one.name for one in plain] == [f"mine {name}" for name in programs.names]
    assert [one.genes for one in plain] == list(programs.members.values())
    assert all(one.weights is None and "expression" in one.source for one in plain)
    weighted = programs.signatures(loadings, weights="loading", max_genes=5)
    for one in weighted:
        assert len(one) == 5
        np.testing.assert_allclose(one.weight_array, loadings[list(one.genes)], rtol=1e-6)
        assert (np.diff(np.abs(one.weight_array)) <= 1e-7).all()
    signed = programs.signatures(loadings)
    assert any(one.is_signed for one in signed)
    assert {abs(weight) for one in signed for weight in one.weight_array.tolist()} == {1.0}


def test_a_gmt_file_gives_them_back(programs, loadings, tmp_path):
    plain, signed = programs.signatures(), programs.signatures(loadings)
    write_gmt(plain, tmp_path / "plain.gmt")
    assert [one.genes for one in read_gmt(tmp_path / "plain.gmt").values()] == [one.genes for one in plain]
    write_gmt(signed, tmp_path / "signed.gmt")
    again = read_gmt(tmp_path / "signed.gmt", merge_up_down=True)
    for one in signed:
        assert dict(zip(again[one.name].genes, again[one.name].weight_array, strict=True)) == dict(
            zip(one.genes, one.weight_array, strict=True)
        )


def test_scores_and_rankings_take_them_as_they_are(screen, programs, loadings):
    made = programs.signatures(loadings)[0]
    adata = screen_to_anndata(screen.data)
    tl.score(adata, made, layer=None)
    places = [screen.data.genes.index(gene) for gene in made.genes]
    expected = screen.data.expression[:, places].toarray() @ made.weight_array / len(made)
    np.testing.assert_allclose(adata.obs[made.name], expected, rtol=1e-4, atol=1e-5)
    model = fit(screen.data, method="additive", show_progress=False)
    assert rank(model, made).signature == made.name
    assert read_signatures(programs.signatures(loadings)) == tuple(programs.signatures(loadings))


def test_what_makes_no_signature_is_said(programs, loadings):
    with pytest.raises(InputError, match="No program has 100 genes"):
        programs.signatures(min_genes=100)
    with pytest.raises(InputError, match="pass loadings"):
        programs.signatures(max_genes=5)
    with pytest.raises(InputError, match="weights takes sign or loading"):
        programs.signatures(loadings, weights="none")
    with pytest.raises(InputError, match="with a loading"):
        programs.signatures(pd.Series(dtype=float))
