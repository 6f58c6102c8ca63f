"""Conditions, screens and what is known about genes."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from insignia.core.errors import DuplicateNames, InputError
from insignia.data import Condition, GeneEmbedding, GenePerturbation, PerturbationData

A, B = Condition.of(["A"]), Condition.of(["B"])


def screen():
    """Two contexts; B was done in one of them only."""
    rows = [("control", "k"), ("A", "k"), ("A", "k"), ("B", "k"), ("control", "t"), ("A", "t")]
    conditions = tuple(sorted({Condition.parse(name) for name, _ in rows}, key=str))
    return PerturbationData(
        genes=("g1", "g2"),
        expression=csr_matrix(np.arange(12, dtype=np.float32).reshape(6, 2)),
        conditions=conditions,
        condition=np.array([conditions.index(Condition.parse(name)) for name, _ in rows]),
        contexts=("k", "t"),
        context=np.array(["kt".index(context) for _, context in rows]),
        replicates=("r",),
        replicate=np.zeros(6, dtype=int),
        cells=np.array(list("uvwxyz")),
    )


def test_a_condition_is_the_same_in_any_order():
    assert Condition.parse("KLF1+MAP2K6") == Condition.parse("MAP2K6+KLF1")
    assert hash(Condition.of(["B", "A"])) == hash(Condition.of(["A", "B"]))
    assert str(Condition.of(["SET", "KLF1"])) == "KLF1+SET"


@pytest.mark.parametrize("text", ["control", "KLF1", "KLF1+MAP2K6", "CRISPRi:MAPK1@0.5", "A+CRISPRa:B"])
def test_what_is_written_is_read(text):
    assert str(Condition.parse(text)) == text


def test_the_same_gene_activated_and_repressed_is_two_conditions():
    assert Condition.of(["A"], kind="CRISPRa") != Condition.of(["A"], kind="CRISPRi")


@pytest.mark.parametrize("text", ["", "A+", "A@x", "A@-1", "A+A", "x:"])
def test_what_is_not_a_condition_is_refused(text):
    with pytest.raises(InputError):
        Condition.parse(text)


def test_the_control_is_the_empty_set():
    assert Condition.parse("control").is_control
    assert not A.is_control
    assert Condition.of(["A", "B"]).singles == (A, B)


def test_cells_are_found_by_condition_and_context():
    data = screen()
    np.testing.assert_array_equal(data.rows(A, "k"), [1, 2])
    assert len(data.rows(B, "t")) == 0
    assert len(data.rows(Condition.of(["C"]), "k")) == 0
    np.testing.assert_array_equal(data.controls("t"), [4])
    np.testing.assert_allclose(data.mean(data.rows(A, "k")), [3, 4])
    assert [(str(condition), context) for condition, context in data.groups] == [
        ("A", "k"), ("A", "t"), ("B", "k"), ("control", "k"), ("control", "t"),
    ]  # fmt: skip


def test_conditions_that_are_left_out_are_gone():
    data = screen().without([A])
    assert data.conditions == (B, Condition())
    assert list(data.cells) == ["u", "x", "y"]
    np.testing.assert_array_equal(data.rows(B, "k"), [1])
    with pytest.raises(InputError, match="no control cells"):
        screen().without([Condition()]).controls("k")


def test_a_missing_gene_is_said_and_never_zero():
    embedding = GeneEmbedding(("a", "b"), np.ones((2, 3), dtype=np.float32))
    values, known = embedding.rows(["b", "z"])
    np.testing.assert_array_equal(known, [True, False])
    assert np.isnan(values[1]).all()
    assert (values[0] == 1).all()
    with pytest.raises(DuplicateNames, match="each gene once"):
        GeneEmbedding(("a", "a"), np.ones((2, 3), dtype=np.float32))


def test_a_dose_must_be_positive():
    with pytest.raises(InputError, match="dose of A must be positive"):
        GenePerturbation("A", dose=0)
