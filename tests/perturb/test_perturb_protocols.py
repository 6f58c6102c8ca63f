"""Protocols of published screens, on look-alikes in the two forms in which they are shared."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from insignia.core.errors import InputError
from insignia.data import read_splits, simulate_screen
from insignia.data.condition import Condition
from insignia.perturb import predictors
from insignia.perturb.protocols import protocols, run_protocol

DATA = simulate_screen(
    n_genes=50, n_programs=6, n_perturbations=30, n_doubles=24, n_controls=80, cells_per_condition=20, rng=0
)


def gears(condition):
    genes = condition.genes
    return "ctrl" if not genes else f"{genes[0]}+ctrl" if len(genes) == 1 else "+".join(genes)


def scperturb(condition):
    return "_".join(condition.genes) or "control"


FORMS = {"gears": ("condition", gears), "scperturb": ("perturbation", scperturb)}


def written(folder, form, *, singles_only=False):
    """Write the screen as it would be downloaded: log-normalised for GEARS, counts for scPerturb."""
    data = DATA.data
    keep = np.array([len(data.conditions[i].genes) < 2 for i in data.condition]) if singles_only else slice(None)
    column, label = FORMS[form]
    labels = np.array([label(data.conditions[i]) for i in data.condition])[keep]
    obs = pd.DataFrame({column: labels, "cell_type": "K562"}, index=data.cells[keep])
    if form == "scperturb":
        obs["nperts"] = [len(data.conditions[i].genes) for i in data.condition[keep]]
    logs = data.expression[keep].toarray()
    values = logs if form == "gears" else np.round(np.expm1(logs) * 10)
    adata = AnnData(values.astype(np.float32), obs=obs, var=pd.DataFrame(index=list(data.genes)))
    path = folder / f"{form}.h5ad"
    adata.write_h5ad(path)
    return path


@pytest.mark.parametrize("form", FORMS)
def test_norman_additive_holds_out_pairs_whose_genes_are_known(form, tmp_path):
    path = written(tmp_path, form)
    board = run_protocol("norman-additive", path, tmp_path / "out", methods=(), n_splits=2, show_progress=False)
    assert set(board.rows["stratum"]) == {"seen 2 of 2"}
    splits = read_splits(tmp_path / "out" / "splits.json")
    assert len(splits) == 2
    # 30 % of 24 pairs, and every single is learned from
    assert [len(split.test) for split in splits] == [7, 7]
    assert splits[0].test != splits[1].test
    assert all(len(Condition.parse(unit).genes) == 2 for unit in splits[0].test)
    assert sum("+" not in unit for unit in splits[0].train) == 30
    table = board.summary(["l2"]).loc["seen 2 of 2"]["l2"]
    assert table["baseline", "additive"] < table["baseline", "perturbed_mean"]
    page = (tmp_path / "out" / "scoreboard.md").read_text()
    assert "Norman: pairs whose genes were perturbed alone" in page


def test_norman_holdout_holds_out_twelve_genes_and_all_that_touches_them(tmp_path):
    path = written(tmp_path, "gears")
    run_protocol("norman-holdout", path, tmp_path / "out", methods=(), priors=DATA.priors, n_splits=1)
    split = read_splits(tmp_path / "out" / "splits.json")[0]
    held = {Condition.parse(unit).genes[0] for unit in split.test if "+" not in unit}
    assert len(held) == 12
    assert all(held & set(Condition.parse(unit).genes) for unit in split.test)
    assert not any(held & set(Condition.parse(unit).genes) for unit in split.train)


@pytest.mark.parametrize("name", ["rpe1", "k562", "adamson"])
def test_unseen_singles_are_each_held_out_once(name, tmp_path):
    path = written(tmp_path, "scperturb", singles_only=True)
    methods = {"ridge": predictors["ridge_embedding"]()}
    board = run_protocol(name, path, methods=methods, priors=DATA.priors, n_splits=3)
    assert set(board.rows["stratum"]) == {"unseen single"}
    counts = board.rows.query("method == 'control'")["condition"].value_counts()
    assert (counts == 1).all()
    assert len(counts) == 30
    table = board.summary(["l2"]).loc["unseen single"]["l2"]
    assert table["method", "ridge"] < table["control", "ridge, shuffled embedding"]


def test_every_protocol_says_what_to_download(tmp_path):
    for name in protocols:
        with pytest.raises(InputError, match=r"There is no file .*absent\.h5ad\. Download the .*GEARS.*scPerturb"):
            run_protocol(name, tmp_path / "absent.h5ad", priors=DATA.priors)


def test_refusals(tmp_path):
    path = written(tmp_path, "gears")
    with pytest.raises(InputError, match="so an embedding of genes is needed"):
        run_protocol("rpe1", path)
    with pytest.raises(InputError, match="Known labels of this screen are ctrl, control"):
        run_protocol("norman-additive", path, control="wild type")
    obs = pd.DataFrame({"condition": ["ctrl", "ctrl", "A+ctrl", "A+ctrl"]}, index=list("abcd"))
    few = AnnData(np.ones((4, 2), np.float32), obs=obs, var=pd.DataFrame(index=["g1", "g2"]))
    few.write_h5ad(tmp_path / "few.h5ad")
    with pytest.raises(InputError, match="12 genes are held out, and the screen has 1"):
        run_protocol("norman-holdout", tmp_path / "few.h5ad", priors=DATA.priors)


def test_the_command(tmp_path, capsys):
    from insignia.cli.perturb_bench import bench

    path = written(tmp_path, "gears")
    bench("norman-additive", path, tmp_path / "out", method=["ridge_onehot"], splits=1, as_json=False)
    assert capsys.readouterr().out.rstrip().splitlines()[-1].startswith("Who wins by l2: seen 2 of 2")
