"""The life of an atlas on the command line."""

import json

import anndata
from benchmarks.attack.atlas_cells import cells, make_atlas

from insignia.data import write_h5ad


def test_replace_remove_compact_verify_and_export(insignia, tmp_path):
    atlas = make_atlas(tmp_path / "atlas", cells("S1", 9), cells("S2", 6), cells("S3", 5)).path
    write_h5ad(cells("S2", 4, seed=3), tmp_path / "s2.h5ad")

    def result(*arguments, code=0):
        got, out, err = insignia("atlas", *arguments, "--json")
        assert got == code, err
        return json.loads(out.splitlines()[-1])

    assert result("replace", atlas, tmp_path / "s2.h5ad")["replaced"] == ["S2"]
    assert result("remove", atlas, "S1")["studies"] == {"S1": 9}
    assert result("compact", atlas)["segments"] == [2, 1]
    assert result("verify", atlas)["is_sound"]
    assert result("info", atlas)["cells"] == 9
    told = result("export", atlas, "-o", tmp_path / "out.h5ad", "--where", "study = 'S2'")
    assert anndata.read_h5ad(told["files"][0]).n_obs == 4
    code, out, _ = insignia("atlas", "compact", atlas)
    assert (code, out.startswith("Segments: 1 (")) == (0, True)
    code, out, _ = insignia("atlas", "verify", atlas, "--quick")
    assert (code, "all is as it was written" in out) == (0, True)


def test_damage_and_unknown_studies_leave_with_their_exit_code(insignia, tmp_path):
    atlas = make_atlas(tmp_path / "atlas", cells("S1", 9)).path
    code, _, err = insignia("atlas", "remove", atlas, "S2")
    assert (code, "no study 'S2'" in err) == (2, True)
    path = next(atlas.glob("segments/*/cells.npy"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    code, out, err = insignia("atlas", "verify", atlas)
    assert code == 4
    assert "cells.npy is not what was written" in out
    assert "damaged in 1 places" in err
    (atlas / "atlas.json").write_text("{")
    code, out, _ = insignia("atlas", "verify", atlas, "--json")
    assert (code, json.loads(out.splitlines()[-1])["is_sound"]) == (4, False)
