"""Figures of tissue: stacks, gene maps, the view from the side."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure
from scipy import sparse
from tests.report.readable import assert_readable
from tests.report.sample_tables import render, texts
from tests.report.stacks import imputed, partly_known, simulated

from insignia.core import keys
from insignia.core.errors import GeneMatchError, InputError, MissingMetadata
from insignia.data import Pose, Transform
from insignia.report import gene_maps_figure, stack_3d_figure, stack_figure
from insignia.report.spatial_maps import Frame, limits, pitch_um, shortened


@pytest.fixture(scope="module")
def stack():
    return simulated()


def spots_of(ax):
    return [part for part in ax.collections if isinstance(part, EllipseCollection)]


def maps(figure):
    """Axes with spots, in order."""
    return [ax for ax in figure.axes if spots_of(ax)]


# gene maps


def test_maps_hold_measured_and_imputed_values_on_one_scale(stack):
    adata = imputed(stack)
    figure = render(gene_maps_figure(adata, ["A02"], measured=stack))
    drawn = maps(figure)
    # three measured, two imputed, two sd; the known section has no imputed map
    assert len(drawn) == 7
    measured, guess, sd = drawn[:3], drawn[3:5], drawn[5:]
    names = adata.var_names
    shares, values = [], []
    for name, ax in zip(stack.names, measured, strict=True):
        counts = stack[name].spots[:, names].X.toarray() + 1.0
        shares.append(np.log(counts / counts.sum(axis=1, keepdims=True))[:, names.get_loc("A02")])
        np.testing.assert_allclose(spots_of(ax)[0].get_offsets(), stack[name].common_um[:, :2])
    values = [adata[adata.obs[keys.SECTION] == name, "A02"].X.ravel() for name in stack.names[1:]]
    low, high = limits(np.concatenate([*shares, *values]))
    from matplotlib import colormaps

    for ax, expected in zip([*measured, *guess], [*shares, *values], strict=True):
        colours = colormaps["viridis"]((expected - low) / (high - low))
        np.testing.assert_allclose(spots_of(ax)[0].get_facecolor(), colours, atol=0.01)
    bar, sd_bar = (ax for ax in figure.axes if ax.get_title(loc="left") in ("ln share", "sd, not from 0"))
    assert bar.get_ylim() == pytest.approx((low, high))
    spread = np.percentile(adata[:, "A02"].layers[keys.SD], [2, 98])
    assert sd_bar.get_ylim() == pytest.approx((min(spread[0], 0.75 * spread[1]), spread[1]), rel=0.01)
    brightness = spots_of(sd[0])[0].get_facecolor()[:, :3].sum(axis=1)
    y = spots_of(sd[0])[0].get_offsets()[:, 1]
    assert np.corrcoef(brightness, y)[0, 1] < -0.9


def test_correlations_below_maps_are_those_of_each_section(stack):
    adata = imputed(stack)
    shuffled = adata[np.random.default_rng(0).permutation(adata.n_obs)].copy()
    figure = render(gene_maps_figure(shuffled, ["A01"], measured=stack))
    said = [text for text in texts(figure) if text.startswith("r = ")]
    expected = []
    for name in stack.names[1:]:
        counts = stack[name].spots[:, adata.var_names].X.toarray() + 1.0
        share = np.log(counts / counts.sum(axis=1, keepdims=True))[:, 0]
        guess = adata[adata.obs[keys.SECTION] == name].X[:, 0]
        value = np.corrcoef(share, guess)[0, 1]
        expected.append(f"r = {value:.2f}".replace("-", "\u2212"))
    assert said == expected


def test_what_is_known_failed_or_far_is_told(stack):
    failed = simulated(failed=("s3",))
    far = Pose(Transform.rigid(0.0, np.array([5e4, 0.0])), "failed")
    failed = failed.with_sections({"s3": replace(failed["s3"], pose=far)})
    figure = gene_maps_figure(imputed(failed), ["A01"], measured=partly_known(failed))
    said = texts(figure)
    assert "not registered" in said
    assert said.count("known") == 1
    assert said.count("not measured") == 2
    assert "ringed: far from any known spot" in " ".join(said)
    guess, lost = maps(figure)[1:3]
    edges = spots_of(guess)[0].get_edgecolor()
    assert (edges[:, 3] > 0).sum() == 3
    # what failed stands in the middle of the others, wherever its pose would have put it
    middle = np.concatenate([failed[name].common_um[:, :2] for name in ("s1", "s2")]).mean(axis=0)
    drawn = spots_of(lost)[0].get_offsets()
    assert len(drawn) == failed["s3"].spots.n_obs
    away = np.linalg.norm(drawn.mean(axis=0) - middle)
    assert away < 100
    alone = texts(gene_maps_figure(imputed(stack), ["A01"]))
    assert "measured" not in alone
    assert not [text for text in alone if text.startswith("r = ")]


def test_sections_are_in_order_of_depth_and_can_be_chosen(stack):
    adata = imputed(stack)
    figure = gene_maps_figure(adata[::-1].copy(), ["A01"], measured=stack)
    names = [text for text in texts(figure) if text in stack.names]
    assert names == ["s1", "s2", "s3"]
    chosen = texts(gene_maps_figure(adata, ["A01"], measured=stack, sections=["s3"]))
    assert [text for text in chosen if text in stack.names] == ["s3"]


@pytest.mark.parametrize(("n", "genes"), [(1, 1), (2, 4), (5, 2), (12, 1)])
@pytest.mark.parametrize("prefix", ["s", "a section with a long name "])
def test_gene_maps_are_readable(n, genes, prefix):
    stack = simulated(n, prefix=prefix, z_um=1200.0, images=False)
    adata = imputed(stack, known=min(1, n - 1))
    names = [f"ENSG00000{gene}$_with_a_long_name" for gene in adata.var_names] if genes == 1 else adata.var_names
    adata.var_names = list(names)
    for section in stack:
        section.spots.var_names = [*names, *section.spots.var_names[len(names) :]]
    assert_readable(gene_maps_figure(adata, list(names[:genes]), measured=stack))
    assert_readable(gene_maps_figure(adata, list(names[:genes])))


def test_gene_maps_refusals(stack):
    adata = imputed(stack)
    with pytest.raises(GeneMatchError, match=r"\['NOPE'\] were not imputed; the 6 genes that were are like \['A01'"):
        gene_maps_figure(adata, ["NOPE"])
    with pytest.raises(InputError, match="at least one gene"):
        gene_maps_figure(adata, [])
    with pytest.raises(InputError, match="Nothing is known or imputed of section 's9'; there are"):
        gene_maps_figure(adata, ["A01"], sections=["s9"])
    del adata.obsm[keys.SPATIAL_COMMON]
    with pytest.raises(MissingMetadata, match=r"no obsm\['spatial_common'\], which ins.spatial.impute writes"):
        gene_maps_figure(adata, ["A01"])
    with pytest.raises(InputError, match="has no pose"):
        gene_maps_figure(imputed(stack), ["A01"], measured=simulated(poses=False))


# stacks


def test_stack_shows_every_section_where_its_pose_puts_it(stack):
    figure = render(stack_figure(partly_known(stack)))
    panels = figure.axes[:5]
    for section, ax in zip(stack, panels[:3], strict=True):
        np.testing.assert_allclose(spots_of(ax)[0].get_offsets(), section.common_um[:, :2])
        (image,) = ax.images
        corner = image.get_transform().transform((0, 0))
        expected = ax.transData.transform(section.pose.transform.apply(np.zeros((1, 2)))[0])
        np.testing.assert_allclose(corner, expected, atol=1e-6)
    limits_ = {(ax.get_xlim(), ax.get_ylim()) for ax in [*panels[:3], panels[4]]}
    assert len(limits_) == 1
    ylim = panels[0].get_ylim()
    assert ylim[0] > ylim[1]  # y points down, as in the image
    said = texts(figure)
    assert "block \\$1: 3 sections" in said
    assert any("z = 0\u00a0µm, measured" in text for text in said)
    assert any("unmeasured\nNCC \u22120.43 · IoU 0.96" in text for text in said)
    assert any("unmeasured\nIoU 0.96" in text for text in said)
    assert {"As mounted", "Registered"} <= set(said)


def test_picture_lies_under_its_spots(stack):
    """Stained pixels of the drawn figure are where the spots are."""
    figure = stack_figure(stack, with_spots=False)
    figure.set_dpi(100)
    ax = figure.axes[1]
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3].astype(float)
    height = pixels.shape[0]
    x, y = ax.transData.transform(stack["s2"].common_um[:, :2]).astype(int).T
    under = pixels[height - 1 - y, x].min(axis=1)
    assert np.median(under) < 190
    # a spot beyond the tissue is on white
    frame = ax.get_window_extent()
    assert pixels[height - 3 - int(frame.y0), int(frame.x0) + 3].min() > 225


def test_failed_sections_are_named_and_left_out_of_the_overlay():
    stack = simulated(failed=("s2",), damage={"s3": ("no_image",)})
    figure = render(stack_figure(stack))
    said = texts(figure)
    assert "3 outlines by depth" in said
    assert "2 outlines by depth" in said
    assert any("not registered" in text for text in said)
    assert not figure.axes[2].images
    unposed = texts(stack_figure(simulated(poses=False)))
    assert "Registered" not in unposed
    assert "As mounted" in unposed
    assert "As mounted" not in texts(stack_figure(simulated(1)))


@pytest.mark.parametrize(("n", "columns"), [(1, 5), (2, 5), (4, 2), (9, 5)])
@pytest.mark.parametrize("prefix", ["s", "a section with a long name "])
def test_stacks_are_readable(n, columns, prefix):
    stack = simulated(n, prefix=prefix, z_um=1200.0, failed=("s2",))
    assert_readable(stack_figure(stack, columns=columns))


# the view from the side


def test_view_keeps_every_spot_with_its_value_and_the_first_section_on_top(stack):
    adata = imputed(stack, all_sections=True)
    figure = render(stack_3d_figure(adata, "A02"))
    ax = figure.axes[0]
    drawn = spots_of(ax)
    assert sum(len(part.get_offsets()) for part in drawn) == adata.n_obs
    heights = [part.get_offsets()[:, 1].mean() for part in drawn]
    assert heights == sorted(heights)  # the last section is drawn first, at the bottom
    # values grow with x, and x runs mostly to the right
    top = drawn[-1]
    green = top.get_facecolor()[:, 1]
    assert np.corrcoef(top.get_offsets()[:, 0], green)[0, 1] > 0.7
    said = " ".join(texts(figure))
    assert "z = 0\u00a0µm, known" in said
    assert "depth ×" in said


def test_view_is_to_scale_within_a_section(stack):
    """Distances along x, which the projection does not tilt, are those on the tissue."""
    adata = imputed(stack, all_sections=True)
    figure = render(stack_3d_figure(adata, "A02"))
    (bar,) = [line for line in figure.axes[0].lines if line.get_linewidth() == 2.0]
    (x0, x1), (y0, y1) = bar.get_data()
    words = next(text for text in texts(figure) if "depth ×" in text)
    length = float(words.split("\u00a0")[0])
    turn, tilt = np.deg2rad(-24), np.deg2rad(33)
    assert x1 - x0 == pytest.approx(length * np.cos(turn))
    assert y1 - y0 == pytest.approx(length * np.sin(turn) * np.sin(tilt))


def test_view_of_scores_layers_and_sparse_matrices(stack):
    adata = imputed(stack, all_sections=True)
    assert "score" in texts(stack_3d_figure(adata, "MS1"))
    assert "sd" in texts(stack_3d_figure(adata, "A01", layer=keys.SD))
    dense = spots_of(render(stack_3d_figure(adata, "A01")).axes[0])[0].get_facecolor()
    adata.X = sparse.csr_matrix(adata.X)
    np.testing.assert_array_equal(spots_of(stack_3d_figure(adata, "A01").axes[0])[0].get_facecolor(), dense)


@pytest.mark.parametrize("n", [1, 2, 5, 14])
@pytest.mark.parametrize("prefix", ["s", "a section with a long name "])
def test_views_are_readable(n, prefix):
    stack = simulated(n, prefix=prefix, z_um=1200.0, failed=("s2",), images=False)
    assert_readable(stack_3d_figure(imputed(stack, all_sections=True), "A01"))


def test_views_draw_where_they_are_told(stack):
    adata = imputed(stack, all_sections=True)
    figure = Figure()
    assert stack_3d_figure(adata, "A01", figure=figure) is figure
    assert stack_figure(stack, figure=(other := Figure())) is other
    assert gene_maps_figure(adata, ["A01"], figure=(third := Figure())) is third
    ax = Figure().subplots()
    assert stack_3d_figure(adata, "A01", ax=ax) is ax.figure


def test_a_failed_section_does_not_leave_the_view(stack):
    far = Pose(Transform.rigid(0.0, np.array([5e4, 0.0])), "failed")
    lost = stack.with_sections({"s3": replace(stack["s3"], pose=far)})
    figure = render(stack_3d_figure(imputed(lost, all_sections=True), "A01"))
    last, _, first = spots_of(figure.axes[0])
    assert abs(np.mean(last.get_offsets()[:, 0]) - np.mean(first.get_offsets()[:, 0])) < 100
    assert any("not registered" in text for text in texts(figure))


def test_view_refusals(stack):
    adata = imputed(stack, all_sections=True)
    with pytest.raises(GeneMatchError, match="no gene and no obs column 'NOPE'"):
        stack_3d_figure(adata, "NOPE")
    with pytest.raises(InputError, match=r"obs\['spot'\] holds"):
        stack_3d_figure(adata, keys.SPOT)
    del adata.obs[keys.SECTION]
    with pytest.raises(MissingMetadata, match=r"no obs\['section'\]"):
        stack_3d_figure(adata, "A01")


# what they share


def test_frames_and_scales():
    frame = Frame.around([np.array([[0, 0], [100, 50]])], 10)
    assert (frame.width, frame.aspect) == (120, 70 / 120)
    assert frame.with_aspect(1.0) == Frame(-10, 110, -35, 85)
    assert frame.with_aspect(0.5) == Frame(-20, 120, -10, 60)
    values = np.append(np.linspace(0, 1, 101), [1e6, np.nan])
    low, high = limits(values)
    assert low == pytest.approx(0.02, abs=0.01)
    assert high < 1.1
    assert limits(np.full(5, 3.0)) == (3.0, pytest.approx(3.003))
    assert limits(np.array([np.nan])) == (0, 1)
    # what hardly differs is not stretched over all colours
    assert limits(np.linspace(0.99, 1.0, 50), least_span=0.25) == pytest.approx((0.75, 1.0), abs=1e-3)
    assert limits(np.full(5, 2.0), least_span=0.25) == (1.5, 2.0)
    assert limits(np.linspace(0, 1, 101), least_span=0.25) == pytest.approx((0.02, 0.98))


def test_long_names_keep_their_ends():
    assert shortened("section 12", 10) == "section 12"
    assert shortened("a section of tissue 12", 12) == "a sect…ue 12"
    assert len(shortened("x" * 40, 11)) == 11
    assert shortened("$", 5) == "\\$"


def test_pitch_is_estimated_where_it_was_not_recorded(stack):
    adata = imputed(stack)
    assert pitch_um(adata) == stack.pitch_um
    adata.uns.clear()
    assert pitch_um(adata) == pytest.approx(stack.pitch_um)
