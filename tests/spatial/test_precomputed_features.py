"""Features that were made elsewhere."""

import h5py
import numpy as np
import pandas as pd
import pytest
from tests.spatial.pictured_stacks import UM_PER_PX, section, stack

from insignia.core.errors import CoverageWarning, DuplicateNames, FileFormatError, InputError
from insignia.spatial.features import feature_coverage, features, precomputed

RNG = np.random.default_rng(0)
N = 12


def shuffled(name, n=N, width=4, seed=0):
    """Names in an order of their own, and features that say whose they are."""
    order = np.random.default_rng(seed).permutation(n)
    return [f"{name}-{k}" for k in order], (order[:, None] + np.arange(width) / 10).astype(np.float32)


def expected(width=4, n=N):
    return (np.arange(n)[:, None] + np.arange(width) / 10).astype(np.float32)


def hest(path, names, values, *, key="embeddings", as_column=True):
    with h5py.File(path, "w") as file:
        file[key] = values
        names = np.array([name.encode() for name in names])
        file["barcodes"] = names[:, None] if as_column else names
        file["coords"] = RNG.integers(0, 100, (len(names), 2))


def write(kind, path, names, values):
    if kind == "hest":
        hest(path.with_suffix(".h5"), names, values)
    elif kind == "named trident":
        hest(path.with_suffix(".h5"), names, values[None], key="features", as_column=False)
    elif kind == "npz":
        np.savez(path.with_suffix(".npz"), features=values, names=np.array(names))
    else:
        table = pd.DataFrame(values, columns=[f"f{k}" for k in range(values.shape[1])], index=names)
        table = table if kind == "parquet" else table.rename_axis("barcode").reset_index()
        table.to_parquet(path.with_suffix(".parquet"))


@pytest.mark.parametrize("kind", ["hest", "named trident", "npz", "parquet", "parquet with a column"])
def test_rows_are_matched_by_name_whatever_their_order(tmp_path, kind):
    for number, name in enumerate(("s1", "s2")):
        write(kind, tmp_path / name, *shuffled(name, seed=number))
    made = features(stack(), encoder=f"precomputed:{tmp_path}")
    key = f"X_{tmp_path.name}"
    for name in ("s1", "s2"):
        np.testing.assert_array_equal(made[name].spots.obsm[key], expected())
        assert made[name].spots.uns[key]["matched_by"] == "name"
    if kind == "parquet":
        assert made["s1"].spots.uns[key]["columns"].tolist() == ["f0", "f1", "f2", "f3"]


def test_tiles_are_matched_by_the_place_of_the_spot(tmp_path):
    given = section(n=20)
    tile = 30
    corners = tile * np.stack(np.meshgrid(np.arange(10), np.arange(10)), -1).reshape(-1, 2)
    corners = np.random.default_rng(1).permutation(corners)[:-3]
    with h5py.File(tmp_path / "trident.h5", "w") as file:
        file["features"] = corners.astype(np.float32)
        file["coords"] = corners
        file["coords"].attrs["patch_size_level0"] = tile
    inside = given.points_um / UM_PER_PX // tile * tile
    is_there = np.array([(corners == place).all(axis=1).any() for place in inside])
    assert 0 < (~is_there).sum() < 5, "some spots lie in none of the tiles"
    with pytest.warns(CoverageWarning, match=f"{is_there.sum()} of 20 spots.*tiles of 30 px"):
        made = precomputed(stack(given), tmp_path / "trident.h5")["s1"].spots
    np.testing.assert_array_equal(made.obsm["X_trident"][is_there], inside[is_there])
    assert np.isnan(made.obsm["X_trident"][~is_there]).all()
    assert made.uns["X_trident"]["matched_by"] == "place"


def test_an_obsm_entry_can_be_taken():
    given = stack()
    given["s1"].spots.obsm["X_uni"] = expected()
    made = features(given, encoder="precomputed:X_uni", key_added="mine")
    np.testing.assert_array_equal(made["s1"].spots.obsm["X_mine"], expected())
    assert made.notes == ("s2: not in the source, so no X_mine.",)


def test_settings_that_would_be_ignored_are_refused():
    for options in ({"scales_um": (100,)}, {"surroundings_um": 50}):
        with pytest.raises(InputError, match="taken as they are: leave out scales_um and surroundings_um"):
            features(stack(), encoder="precomputed:X_uni", **options)


def test_one_table_of_several_sections_is_divided():
    parts = {name: pd.DataFrame(values, index=names) for name in ("s1", "s2") for names, values in [shuffled(name)]}
    by_column = pd.concat([part.assign(section=name) for name, part in parts.items()])
    by_name = pd.concat([part.rename(index=lambda spot, name=name: f"{name}:{spot}") for name, part in parts.items()])
    for source in (by_column, by_name, parts):
        made = precomputed(stack(), source)
        for name in ("s1", "s2"):
            np.testing.assert_array_equal(made[name].spots.obsm["X_precomputed"], expected())


def test_coverage_is_reported():
    given = stack(section("s1"), section("s2", z_um=20.0), section("s3", z_um=40.0))
    names, values = shuffled("s1")
    extra = pd.DataFrame(values[:2], index=["other", "more"])
    source = {
        "s1": pd.concat([pd.DataFrame(values[:9], index=names[:9]), extra]),
        "s2": pd.DataFrame(expected(), index=[f"s2-{k}" for k in range(N)]),
    }
    with pytest.warns(
        CoverageWarning, match=r"9 of 12 spots of section 's1' have features: rows such as.*count as having none"
    ):
        made = precomputed(given, source, key_added="uni")
    table = feature_coverage(made, "uni")
    assert table["n_found"].to_dict() == {"s1": 9, "s2": 12, "s3": 0}
    assert table["n_unused"].to_dict() == {"s1": 2, "s2": 0, "s3": 0}
    assert table["n_spots"].tolist() == [12, 12, 12]
    missing = [int(name.split("-")[1]) for name in names[9:]]
    assert np.isnan(made["s1"].spots.obsm["X_uni"][missing]).all()
    assert np.isfinite(np.delete(made["s1"].spots.obsm["X_uni"], missing, axis=0)).all()


def test_names_that_do_not_meet_are_refused():
    renamed = pd.DataFrame(expected(), index=[f"s1-{k}-1" for k in range(N)])
    with pytest.raises(
        InputError, match=r"0 of 12 spots of section 's1'.*rows such as \['s1-0-1'.*spots such as \['s1-0'"
    ):
        precomputed(stack(section()), renamed)
    few = pd.DataFrame(expected(), index=[f"s1-{k + 7}" for k in range(N)])
    with pytest.raises(InputError, match=r"5 of 12 spots.*lower min_coverage, 0.5 now"):
        precomputed(stack(section()), few)


def test_features_are_never_matched_by_order(tmp_path):
    with pytest.raises(FileFormatError, match="rows without names, and features are never matched by their order"):
        precomputed(stack(section()), pd.DataFrame(expected()))
    np.savez(tmp_path / "a.npz", features=expected())
    with pytest.raises(FileFormatError, match="never matched by their order"):
        precomputed(stack(section()), tmp_path / "a.npz")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["features"], file["coords"] = expected(), np.zeros((N, 2))
    with pytest.raises(FileFormatError, match="coords with the attribute patch_size_level0"):
        precomputed(stack(section()), tmp_path / "b.h5")


def test_repeated_names_are_refused():
    twice = pd.DataFrame(expected(), index=["s1-0", "s1-0", *[f"s1-{k}" for k in range(2, N)]])
    with pytest.raises(DuplicateNames, match=r"'s1' has rows of features of the same name, e.g. \['s1-0'\]"):
        precomputed(stack(section()), twice)


def test_sections_of_different_features_are_refused():
    tables = {
        name: pd.DataFrame(expected(width), index=[f"{name}-{k}" for k in range(N)])
        for name, width in (("s1", 3), ("s2", 4))
    }
    with pytest.raises(InputError, match=r"different lengths: \{'s1': 3, 's2': 4\}"):
        precomputed(stack(), tables)


def test_sources_that_are_not_there_or_not_features_are_refused(tmp_path):
    given = stack()
    with pytest.raises(
        InputError, match=r"'X_uni' is neither a file, a folder nor an obsm key; sections have \['spatial'\]"
    ):
        precomputed(given, "X_uni")
    with pytest.raises(InputError, match=r"should hold files called after sections, e.g. s1.h5; it holds \[\]"):
        precomputed(given, tmp_path)
    with pytest.raises(InputError, match=r"given for sections \['s9'\]; there are s1, s2"):
        precomputed(given, {"s9": pd.DataFrame()})
    with pytest.raises(InputError, match="None of the rows of the table belongs to s1, s2"):
        precomputed(given, pd.DataFrame(expected(), index=[f"s1-{k}" for k in range(N)]))
    (tmp_path / "a.csv").write_text("")
    with pytest.raises(FileFormatError, match=r"should be one of .h5, .npz, .parquet"):
        precomputed(given, tmp_path / "a.csv")
    for name in ("a.h5", "a.npz", "a.parquet"):
        (tmp_path / name).write_bytes(b"not at all")
        with pytest.raises(FileFormatError, match="cannot be read as features"):
            precomputed(given, tmp_path / name)
    with h5py.File(tmp_path / "patches.h5", "w") as file:
        file["img"], file["barcode"] = np.zeros((2, 8, 8, 3), dtype=np.uint8), np.array([b"a", b"b"])
    with pytest.raises(FileFormatError, match="holds patches and no features"):
        precomputed(given, tmp_path / "patches.h5")
    np.savez(tmp_path / "short.npz", features=expected(), names=np.array(["a", "b"]))
    with pytest.raises(FileFormatError, match="12 rows of features and 2 names"):
        precomputed(given, tmp_path / "short.npz")
    with pytest.raises(FileFormatError, match=r"numeric columns of features, found \['a'\]"):
        precomputed(given, pd.DataFrame({"a": ["x"]}, index=["s1:s1-0"]))


def test_pickles_inside_archives_are_refused(tmp_path):
    np.savez(tmp_path / "evil.npz", features=expected(), names=np.array([f"s1-{k}" for k in range(N)], dtype=object))
    with pytest.raises(FileFormatError, match=r"allow_pickle=False"):
        precomputed(stack(section()), tmp_path / "evil.npz")


def test_places_need_an_image_and_a_file_for_each_section(tmp_path):
    with h5py.File(tmp_path / "t.h5", "w") as file:
        file["features"], file["coords"] = expected(), np.zeros((N, 2))
        file["coords"].attrs["patch_size_level0"] = 256
    with pytest.raises(InputError, match="places in one image, and there are 2 sections"):
        precomputed(stack(), tmp_path / "t.h5")
    with pytest.raises(InputError, match="no image that says how large a pixel is"):
        precomputed(stack(section(image=False)), tmp_path / "t.h5")
