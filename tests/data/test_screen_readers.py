"""Readers of screens: every convention of labels, controls that are said and never guessed, counts, logs and memory."""

import tracemalloc

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from insignia.core.errors import DuplicateNames, FileFormatError, GeneMatchError, InputError, InputSpaceError
from insignia.data import Condition, read_screen, screen_readers, screen_to_anndata, simulate_screen, write_screen
from insignia.genes import Renames

GENES = [f"G{i}" for i in range(6)]


def cells(obs, *, values=None, var=None):
    """Cells with counts, one row of `obs` each."""
    obs = pd.DataFrame(obs)
    obs.index = [f"c{i}" for i in range(len(obs))]
    rng = np.random.default_rng(0)
    values = rng.poisson(3.0, (len(obs), len(GENES))) + 1 if values is None else values
    var = pd.DataFrame(index=GENES) if var is None else var
    return anndata.AnnData(sparse.csr_matrix(np.asarray(values, dtype=np.float32)), obs=obs, var=var)


LABELS = ["A", "B", "A+B", "control", "control", "A"]
LAYOUTS = {
    "gears": ({"condition": ["A+ctrl", "ctrl+B", "B+A", "ctrl", "ctrl", "A+ctrl"], "cell_type": ["k"] * 6}, "ctrl"),
    "scperturb": (
        {
            "perturbation": ["A", "B", "A_B", "control", "control", "A"],
            "nperts": [1, 1, 2, 0, 0, 1],
            "celltype": ["k"] * 6,
        },
        "control",
    ),
    "pairs": (
        {
            "pert1": ["A", "ctrl", "B", "ctrl", "ctrl", "A"],
            "pert2": ["ctrl", "B", "A", "ctrl", "ctrl", "ctrl"],
            "cell_line": ["k"] * 6,
        },
        "ctrl",
    ),
    "plain": ({"condition": ["A", "B", "B+A", "none", "none", "A"], "cell_type": ["k"] * 6}, "none"),
    "cell_eval": (
        {"target_gene": ["A", "B", "A+B", "non-targeting", "non-targeting", "A"], "cell_type": ["k"] * 6},
        "non-targeting",
    ),
}


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_every_layout_is_recognised_and_says_the_same(layout):
    obs, control = LAYOUTS[layout]
    data = read_screen(cells(obs), control=control, separator="+" if layout == "cell_eval" else None)
    assert [str(data.conditions[i]) for i in data.condition] == LABELS
    assert data.contexts == ("k",)
    assert f"labels of the layout {layout}" in data.notes
    assert set(LAYOUTS) == set(screen_readers)


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_the_control_is_never_guessed_and_the_error_says_what_it_may_be(layout):
    obs, control = LAYOUTS[layout]
    with pytest.raises(InputError, match="never guessed") as caught:
        read_screen(cells(obs))
    assert control in str(caught.value)
    with pytest.raises(InputError, match="No cell has the control label 'wrong'"):
        read_screen(cells(obs), control="wrong")


def test_what_can_only_be_a_control_does_not_become_a_gene():
    obs = {"condition": ["A", "ctrl", "ctrl", "NT", "negCtrl_1"]}
    with pytest.raises(InputError, match="'NT', 'negCtrl_1', which looks like a control"):
        read_screen(cells(obs), control="ctrl", layout="plain")
    data = read_screen(cells(obs), control=["ctrl", "NT", "negCtrl_1"], layout="plain")
    assert [str(one) for one in data.conditions] == ["A", "control"]
    left = read_screen(cells(obs), control="ctrl", leave_out=["NT", "negCtrl_1"], layout="plain")
    assert len(left) == 3


def test_cells_without_a_label_are_never_controls():
    obs = {"condition": ["A", "c", "c", None, np.nan]}
    with pytest.raises(InputError, match="2 cells have no label"):
        read_screen(cells(obs), control="c")
    assert list(read_screen(cells(obs), control="c", leave_out=["nan"]).cells) == ["c0", "c1", "c2"]
    with pytest.raises(InputError, match="which no cell has"):
        read_screen(cells(obs), control="c", leave_out=["gone"])


def test_a_name_with_an_underscore_is_not_cut_where_the_number_says_one():
    obs = {"perturbation": ["HLA_A", "A_B", "control", "control"], "nperts": [1, 2, 0, 0]}
    data = read_screen(cells(obs), control="control")
    assert [one.genes for one in data.conditions] == [("A", "B"), ("HLA_A",), ()]
    with pytest.raises(InputError, match="says 3 perturbations for 'A_B'"):
        read_screen(cells(obs | {"nperts": [1, 3, 0, 0]}), control="control")


def test_an_old_symbol_becomes_the_new_one_and_joins_its_cells():
    obs = {"condition": ["KIAA1804", "MAP3K21", "SET+KLF1", "c", "c"]}
    data = read_screen(cells(obs), control="c")
    assert [str(one) for one in data.conditions] == ["KLF1+SET", "MAP3K21", "control"]
    assert len(data.rows(Condition.of(["MAP3K21"]), "all cells")) == 2
    assert any("KIAA1804 -> MAP3K21" in note for note in data.notes)
    kept = read_screen(cells(obs), control="c", renames=Renames())
    assert "KIAA1804" in map(str, kept.conditions)
    unsure = Renames({"KIAA1804": frozenset({"X", "Y"})})
    assert any("X or Y" in note for note in read_screen(cells(obs), control="c", renames=unsure).notes)


def test_one_gene_activated_and_repressed_is_two_conditions_and_one_kind_alone_is_not_named():
    obs = {"condition": ["A", "A", "c", "c"], "perturbation_type": ["CRISPRa", "CRISPRi", "CRISPRa", "CRISPRi"]}
    data = read_screen(cells(obs), control="c")
    assert [str(one) for one in data.conditions] == ["CRISPRa:A", "CRISPRi:A", "control"]
    single = read_screen(cells(obs | {"perturbation_type": ["KO"] * 4}), control="c")
    assert [str(one) for one in single.conditions] == ["A", "control"]
    assert any("of one kind, KO" in note for note in single.notes)
    assert len(read_screen(cells(obs), control="c", kind="none").conditions) == 2


def test_doses_belong_to_their_genes():
    obs = {"condition": ["A", "A+B", "B+A", "c", "c"], "dose": ["0.5", "1+2", "2+1", "nan", "0"]}
    data = read_screen(cells(obs), control="c")
    assert [str(one) for one in data.conditions] == ["A+B@2", "A@0.5", "control"]
    with pytest.raises(InputError, match="dose of 'A'"):
        read_screen(cells(obs | {"dose": ["high", "1", "1", "1", "1"]}), control="c")
    pairs = {"pert1": ["A", "c", "c"], "pert2": ["c", "c", "c"], "dose1": [0.25, 0, 0], "dose2": [0, 0, 0]}
    assert [str(one) for one in read_screen(cells(pairs), control="c").conditions] == ["A@0.25", "control"]


def test_controls_of_one_context_never_serve_another():
    obs = {"condition": ["A", "c", "c", "A"], "cell_type": ["x", "x", "x", "y"], "plate": ["1", "1", "2", "2"]}
    with pytest.raises(InputError, match=r"fewer than 2 control cells, e.g. y; contexts with controls: x"):
        read_screen(cells(obs), control="c")
    alone = read_screen(cells(obs), control="c", where={"cell_type": "x"}, batch="plate")
    assert (alone.contexts, alone.replicates) == (("x",), ("1", "2"))
    joined = read_screen(cells(obs), control="c", context=())
    assert joined.contexts == ("all cells",)
    two = {"condition": ["A", "c", "c"], "cell_type": ["x"] * 3, "drug": ["d"] * 3}
    assert read_screen(cells(two), control="c", context=["cell_type", "drug"]).contexts == ("x / d",)


def test_one_control_cell_is_refused_and_controls_alone_are_too():
    with pytest.raises(InputError, match="fewer than 2 control cells"):
        read_screen(cells({"condition": ["A", "A", "c"]}), control="c")
    with pytest.raises(InputError, match="nothing was perturbed"):
        read_screen(cells({"condition": ["c", "c", "c"]}), control="c")
    with pytest.raises(InputError, match="names each gene once"):
        read_screen(cells({"condition": ["A+A", "c", "c"]}), control="c")


def test_unused_categories_are_no_conditions():
    obs = {"condition": pd.Categorical(["A", "c", "c"], ["A", "B", "c"]), "cell_type": pd.Categorical(list("xxx"))}
    data = read_screen(cells(obs), control="c")
    assert [str(one) for one in data.conditions] == ["A", "control"]
    part = read_screen(cells({"condition": ["A", "B", "c", "c"]})[[0, 2, 3]], control="c")
    assert list(part.cells) == ["c0", "c2", "c3"]


def test_counts_become_logs_of_scaled_counts():
    values = np.array([[1, 3, 0, 0, 0, 0], [2, 2, 0, 0, 0, 0], [5, 5, 0, 0, 0, 0], [0] * 6])
    obs = {"condition": ["A", "c", "c", "A"], "all_counts": [8, 8, 20, 1]}
    data = read_screen(cells(obs, values=values), control="c", scale=100)
    np.testing.assert_allclose(data.expression[0].toarray()[0, :2], np.log1p([25, 75]), rtol=1e-6)
    assert any("1 cells have no counts at all" in note for note in data.notes)
    assert read_screen(cells(obs, values=values), control="c", scale="median").scale == 7
    assert read_screen(cells(obs, values=values), control="c").scale == 1e4
    part = read_screen(cells(obs, values=values), control="c", scale=100, total="all_counts")
    np.testing.assert_allclose(part.expression[0].toarray()[0, :2], np.log1p([12.5, 37.5]), rtol=1e-6)
    with pytest.raises(InputError, match="positive numbers"):
        read_screen(cells(obs | {"all_counts": [0, 1, 1, 1]}, values=values), control="c", total="all_counts")
    with pytest.raises(InputError, match="positive number or 'median'"):
        read_screen(cells(obs, values=values), control="c", scale=-1)


def test_logs_are_taken_as_they_are_and_their_scale_is_found():
    rng = np.random.default_rng(1)
    counts = rng.poisson(5.0, (40, 6)) + 1
    logs = np.log1p(counts / counts.sum(axis=1, keepdims=True) * 5000)
    obs = {"condition": ["A"] * 20 + ["c"] * 20}
    data = read_screen(cells(obs, values=logs), control="c")
    np.testing.assert_allclose(data.expression.toarray(), logs, rtol=1e-6)
    assert data.scale == pytest.approx(5000, rel=1e-3)
    part = read_screen(cells(obs, values=logs[:, :6] * (np.arange(6) < 3)), control="c")
    assert np.isnan(part.scale)
    with pytest.raises(InputError, match="needs counts"):
        read_screen(cells(obs, values=logs), control="c", scale="median")


def test_what_is_neither_counts_nor_logs_is_refused():
    obs = {"condition": ["A", "c", "c"]}
    with pytest.raises(InputSpaceError, match="negative values"):
        read_screen(cells(obs, values=np.full((3, 6), -0.5)), control="c")
    with pytest.raises(InputSpaceError, match="neither counts"):
        read_screen(cells(obs, values=np.full((3, 6), 50.5)), control="c")
    with pytest.raises(InputSpaceError, match="taken as counts"):
        read_screen(cells(obs, values=np.full((3, 6), 0.5)), control="c", input_space="counts")


def test_genes_of_one_name_need_ids_to_be_told_apart():
    obs = {"condition": ["A", "c", "c"]}
    with pytest.warns(UserWarning, match="not unique"):
        twice = cells(obs, var=pd.DataFrame(index=["G0", "G0", "G2", "G3", "G4", "G5"]))
    with pytest.raises(DuplicateNames, match="var_names must be unique"):
        read_screen(twice, control="c")
    ids = [f"ENSG0000000000{i}" for i in range(6)]
    var = pd.DataFrame({"gene_name": ["TP53", "TP53", "MYC", "KLF1", "SET", "FOXO4"]}, index=ids)
    assert read_screen(cells(obs, var=var), control="c").genes == (ids[0], ids[1], "MYC", "KLF1", "SET", "FOXO4")


def test_genes_to_keep_are_chosen_by_control_cells_alone():
    values = np.ones((4, 6))
    values[:2, 5] = 90
    values[2:, 1] = 9
    obs = {"condition": ["A", "B", "c", "c"]}
    data = read_screen(cells(obs, values=values), control="c", genes=1, scale=100)
    assert data.genes == ("G1",)
    # the total is that of all genes, not of those that are kept
    np.testing.assert_allclose(data.expression[2].toarray(), np.log1p(100 * 9 / 14), rtol=1e-6)
    named = read_screen(cells(obs, values=values), control="c", genes=["G5", "G0"])
    assert named.genes == ("G5", "G0")
    with pytest.raises(GeneMatchError, match="were not measured"):
        read_screen(cells(obs), control="c", genes=["G9"])


def test_labels_that_are_none_or_two_conventions_are_refused():
    with pytest.raises(FileFormatError, match="No labels of perturbations are recognised among the columns guide"):
        read_screen(cells({"guide": ["A", "B"]}), control="c")
    both = {"target": ["A", "c", "c"], "perturbation": ["A", "c", "c"], "nperts": [1, 0, 0]}
    with pytest.raises(FileFormatError, match="look like cell_eval and scperturb"):
        read_screen(cells(both), control="c")
    assert len(read_screen(cells(both), control="c", layout="scperturb")) == 3
    named = read_screen(cells({"guide": ["A", "c", "c"]}), control="c", layout="plain", perturbation="guide")
    assert len(named.conditions) == 2
    with pytest.raises(InputError, match="No cell has 'z'"):
        read_screen(cells(both), control="c", layout="scperturb", where={"target": "z"})


@pytest.mark.parametrize("form", ["csr", "csc", "dense", "backed csr", "backed csc", "backed dense"])
def test_the_way_a_matrix_is_stored_changes_nothing(form, tmp_path):
    obs, control = LAYOUTS["gears"]
    plain = cells(obs)
    expected = read_screen(plain, control=control)
    plain.X = {"csr": sparse.csr_matrix, "csc": sparse.csc_matrix, "dense": np.asarray}[form.split()[-1]](
        plain.X.toarray()
    )
    source = plain
    if form.startswith("backed"):
        source = tmp_path / "screen.h5ad"
        plain.write_h5ad(source)
    found = read_screen(source, control=control)
    np.testing.assert_array_equal(found.expression.toarray(), expected.expression.toarray())
    assert found.conditions == expected.conditions


def test_memory_holds_the_result_and_a_block(tmp_path):
    """A dense file of 64 MB with counts in 2 % of its places never lies in memory as a whole."""
    n_cells, n_genes = 8000, 1000
    path = tmp_path / "big.h5ad"
    rng = np.random.default_rng(0)
    obs = pd.DataFrame({"condition": ["A", "c"] * (n_cells // 2)}, index=[f"c{i}" for i in range(n_cells)])
    empty = sparse.csr_matrix((n_cells, 0))
    anndata.AnnData(empty, obs=obs).write_h5ad(path)
    with h5py.File(path, "r+") as file:
        del file["X"], file["var"]
        anndata.io.write_elem(file, "var", pd.DataFrame(index=[f"G{i}" for i in range(n_genes)]))
        matrix = file.create_dataset("X", (n_cells, n_genes), "f8", chunks=(500, n_genes), compression="gzip")
        for start in range(0, n_cells, 500):
            matrix[start : start + 500] = rng.random((500, n_genes)) < 0.02
        matrix.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    tracemalloc.start()
    try:
        data = read_screen(path, control="c")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert data.expression.shape == (n_cells, n_genes)
    rng = np.random.default_rng(0)
    for start in range(0, n_cells, 500):
        expected = rng.random((500, n_genes)) < 0.02
        np.testing.assert_array_equal(data.expression[start : start + 500].toarray() > 0, expected)
    assert peak < 0.7 * n_cells * n_genes * 8


def test_a_screen_is_written_and_read_back_without_being_told_anything(tmp_path):
    made = simulate_screen(
        n_genes=20, n_programs=4, n_perturbations=4, n_doubles=2, n_controls=6, cells_per_condition=3, n_contexts=2,
        doses=(0.5, 1.0), rng=0,
    ).data  # fmt: skip
    write_screen(made, tmp_path / "screen.h5ad")
    again = read_screen(tmp_path / "screen.h5ad")
    np.testing.assert_array_equal(again.expression.toarray(), made.expression.toarray())
    for name in ("genes", "conditions", "contexts", "replicates", "scale", "notes"):
        assert getattr(again, name) == getattr(made, name), name
    for name in ("condition", "context", "replicate"):
        np.testing.assert_array_equal(getattr(again, name), getattr(made, name))
    other = screen_to_anndata(made)
    other.uns["perturb"]["format"] = "insignia screen 99"
    with pytest.raises(FileFormatError, match="this version reads"):
        read_screen(other)


def test_papalexi(real_data):
    path = real_data("perturb/papalexi2021_dev.h5ad")
    with pytest.raises(InputError, match="'non-targeting' \\(1,720 cells\\)"):
        read_screen(path)
    data = read_screen(path, control="non-targeting", batch="bio_rep", scale="median")
    assert (len(data), len(data.genes), len(data.conditions)) == (12840, 299, 21)
    assert len(data.controls("all cells")) == 1720
    assert np.bincount(data.replicate).tolist() == [7782, 5058]
    shift = data.mean(data.rows(Condition.of(["JAK2"]), "all cells")) - data.mean(data.controls("all cells"))
    assert shift[data.genes.index("JAK2")] == pytest.approx(-0.72, abs=0.05)


def test_the_norman_subset(real_data):
    path = real_data("perturb/norman19_mcfaline23_perturbench_dev.h5ad")
    both = read_screen(path, control="control")
    assert both.contexts == ("A172", "T98G", "U87MG", "k562")
    assert Condition.of(["MAPK1"], kind="CRISPRa") in both.conditions
    assert Condition.of(["MAPK1"], kind="CRISPRi") in both.conditions
    norman = read_screen(
        path, control="control", where={"dataset": "norman19"}, perturbation="perturbation_raw", context="cell_type"
    )
    assert len(norman.rows(Condition.of(["KLF1", "SET"]), "k562")) == 100
    assert Condition.of(["MAP3K21"]) in norman.conditions
    assert len(norman.controls("k562")) == 100
    assert sum(len(one.genes) == 2 for one in norman.conditions) == 11
