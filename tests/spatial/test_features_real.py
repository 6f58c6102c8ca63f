"""What the features say of expression on real sections."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from insignia.data import Pose, Section, SectionImage, SectionStack, Transform, read_stack
from insignia.spatial.assemble import assemble
from insignia.spatial.features import features
from insignia.spatial.imputers.ridge import Ridge
from insignia.spatial.panel import choose_panel
from insignia.stats.accuracy import column_correlation

pytest.importorskip("cv2", reason="images need the extra 'spatial'")


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("INSIGNIA_CACHE", str(tmp_path))


def gene_correlation(stack, known, *, shuffle=False):
    """Mean per-gene correlation of ridge in the sections that are not known, averaged over them."""
    panel = choose_panel([section.spots for section in stack])
    spots = assemble(stack, panel, known=[known])
    truth = assemble(stack, panel).expression
    if shuffle:
        order = np.random.default_rng(0).permutation(len(spots))
        spots = replace(spots, features=np.where(spots.is_known[:, None], spots.features, spots.features[order]))
    predicted = Ridge().impute(spots).mean
    unknown = [number for number, name in enumerate(stack.names) if name != known]
    of_section = [column_correlation(predicted[rows], truth[rows]) for n in unknown for rows in [spots.section == n]]
    return float(np.mean([np.nanmean(values) for values in of_section]))


def placed(stack):
    """Ridge does not ask where sections lie."""
    pose = Pose(Transform.identity(), "given")
    return stack.with_sections({section.name: replace(section, pose=pose) for section in stack})


def test_ridge_on_patient_c_of_her2st(real_data):
    stack = placed(features(read_stack(real_data("her2st"), name="C", sections=["C2", "C3"])))
    # both sections with all three scales gave 0.31 to 0.33
    assert gene_correlation(stack, "C2") > 0.28
    assert abs(gene_correlation(stack, "C2", shuffle=True)) < 0.05


def olfactory_bulb(folder, number):
    counts = pd.read_csv(folder / f"MOB{number}.tsv", sep="\t", index_col=0)
    table = pd.read_csv(folder / f"alignment_table_MOB{number}.tsv", sep="\t").query("selected == 1")
    table.index = [f"{x}x{y}" for x, y in zip(table.x, table.y, strict=True)]
    table = table.loc[table.index.intersection(counts.index)]
    spots = AnnData(counts.loc[table.index].to_numpy(np.float32), pd.DataFrame(index=table.index))
    spots.var_names = counts.columns
    um_per_px = 200 / 22.8
    spots.obsm["spatial"] = table[["pixel_x", "pixel_y"]].to_numpy(float) * um_per_px
    return Section(f"MOB{number}", 20.0 * number, spots, image=SectionImage(folder / f"MOB{number}.jpg", um_per_px))


def test_ridge_on_the_olfactory_bulb(real_data):
    folder = real_data("mob_stutility")
    stack = SectionStack("MOB", tuple(olfactory_bulb(folder, number) for number in (1, 2)), pitch_um=200.0)
    made = features(stack)
    assert "images are coarser" in made.notes[0]
    # 0.37 here
    assert gene_correlation(placed(made), "MOB1") > 0.30
