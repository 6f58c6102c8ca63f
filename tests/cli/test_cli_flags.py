"""Messages of the command line speak of its flags."""

import pytest
import typer

from insignia.cli.flags import flags_of, in_flags
from insignia.cli.main import app

FLAGS = flags_of(typer.main.get_command(app), ["atlas", "add", "a", "b.h5ad"]) | {
    "min_coverage": "--min-coverage",
    "gene_symbols": "--gene-symbols",
    "input_space": "--input-space",
    "overwrite": "--overwrite",
    "layer": "--layer",
}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("columns={'a': 'sample'}, or constants={'sample': '...'};", "--column a=sample, or --constant sample=...;"),
        ("given twice in columns= and constants=.", "given twice in --column and --constant."),
        ("below min_coverage=50%; lower it", "below --min-coverage 50%; lower it"),
        ("Lower min_coverage, or pass gene_symbols='name'.", "Lower --min-coverage, or pass --gene-symbols name."),
        ("pass gene_symbols= or gene_ids= if", "pass --gene-symbols or gene_ids= if"),
        ("or pass overwrite=True to", "or pass --overwrite to"),
        ("adata.X holds counts: pass layer=None.", "adata.X holds counts: pass no --layer."),
        ("with input_space='log1p'.", "with --input-space log1p."),
    ],
)  # fmt: skip
def test_arguments_become_flags(text, said):
    assert in_flags(text, FLAGS) == said


@pytest.mark.parametrize(
    "text",
    [
        "read_screen(path, layer='counts') reads it",
        "There is something at /data/layer=x/min_coverage.csv already.",
        "columns there: min_coverage, 'gene_symbols', layer",
        "found 'layer=counts'",
        "raise n_steps",
    ],
)
def test_names_and_calls_stay(text):
    assert in_flags(text, FLAGS) == text


def test_flags_are_those_of_the_command():
    command = typer.main.get_command(app)
    assert flags_of(command, ["attribute", "cells.h5ad"])["n_steps"] == "--n-steps"
    assert flags_of(command, ["atlas", "create"])["model"] == "--model"
    assert "min_overlap" not in flags_of(command, ["atlas", "create"])
    assert "cells" not in flags_of(command, ["attribute"])
    assert flags_of(command, ["no-such"])["version"] == "--version"


def test_a_running_command_says_its_own(insignia, tmp_path):
    from tests.attribution.conftest import make_cells

    from insignia.models import fit_pca

    cells = make_cells(30)
    fit_pca(cells, n_components=4, output=tmp_path / "pca")
    cells.write_h5ad(tmp_path / "cells.h5ad")
    command = ("attribute", tmp_path / "cells.h5ad", "-m", tmp_path / "pca", "-o", tmp_path / "a.h5ad", "--json")
    assert insignia(*command)[0] == 0
    before = (tmp_path / "a.h5ad").read_bytes()
    code, _, err = insignia(*command)
    assert code == 2
    assert "There is something at" in err
    assert "or pass --overwrite to replace it" in err
    assert (tmp_path / "a.h5ad").read_bytes() == before
    assert insignia(*command, "--overwrite")[0] == 0
    assert insignia(*command, "--dry-run")[0] == 0
    code, _, err = insignia(*command, "--overwrite", "--shards", "2")
    assert code == 2
    assert "Remove their folder first" in err
    cells.var_names = [f"probe{i}" for i in range(cells.n_vars)]
    cells.write_h5ad(tmp_path / "probes.h5ad")
    code, _, err = insignia("attribute", tmp_path / "probes.h5ad", *command[2:4], "-o", tmp_path / "b.h5ad")
    assert code == 2
    assert "pass --gene-symbols or --gene-ids if" in err
    assert "lower --min-overlap" in err


def test_simulations_take_their_output_either_way(insignia, tmp_path):
    small = ("--genes", 40, "--perturbations", 4, "--doubles", 2, "--cells", 8, "--controls", 20)
    assert insignia("perturb", "simulate", "-o", tmp_path / "a.h5ad", *small)[0] == 0
    assert (tmp_path / "a.h5ad").is_file()
    assert insignia("spatial", "simulate", "--output", tmp_path / "stack", "--sections", "1")[0] == 0
    assert (tmp_path / "stack").is_dir()
    for words, n in (((), 0), ((tmp_path / "b.h5ad", "-o", tmp_path / "c.h5ad"), 2)):
        code, _, err = insignia("perturb", "simulate", *words, *small)
        assert code == 2
        assert f"found {n} places" in err
