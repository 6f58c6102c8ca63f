"""Evaluation: averages, verdicts, what it prints and what it refuses to print."""

import json

import numpy as np
import pandas as pd
import pytest
from tests.spatial.measured_stacks import measured_stack

from insignia.core import keys
from insignia.core.errors import GeneMatchError, InputError, InputSpaceError, MissingMetadata
from insignia.data import SectionStack
from insignia.spatial.evaluation import METRICS, Evaluation, evaluate
from insignia.spatial.evaluation.summary import over_samples, over_seeds
from insignia.spatial.evaluation.verdict import verdicts
from insignia.spatial.impute import impute


@pytest.fixture(scope="module")
def stack():
    return measured_stack(seed=5)


@pytest.fixture(scope="module")
def by_kernel(stack):
    imputed = impute(stack, known=["s0"], method="kernel", genes=12, baselines=False)
    return imputed, evaluate(imputed, stack)


def table(rows):
    """One row each of (role, method, sample, known, section, seed, value)."""
    names = ["role", "method", "sample", "known", "section", "seed", "skill"]
    frame = pd.DataFrame(rows, columns=names)
    return frame.assign(pcc_mean=frame["skill"])


def test_samples_count_the_same_whatever_their_number_of_sections():
    rows = [("imputer", "m", "A", "a1", f"a{i}", seed, 0.1 * i + 0.01 * seed) for i in range(2, 5) for seed in (0, 1)]
    rows += [("imputer", "m", "B", "b1", "b2", seed, 0.7 + 0.03 * seed) for seed in (0, 1)]
    # sample C has two choices of the known section, with different numbers of sections
    rows += [("imputer", "m", "C", "c1", f"c{i}", seed, 0.2) for i in (2, 3) for seed in (0, 1)]
    rows += [("imputer", "m", "C", "c2", "c1", seed, 0.4) for seed in (0, 1)]
    mean, sd = over_samples(table(rows), ["skill"])
    per_sample = [np.mean([0.2, 0.3, 0.4]) + 0.005, 0.715, 0.3]
    assert mean.loc[("imputer", "m"), "skill"] == pytest.approx(np.mean(per_sample))
    assert sd.loc[("imputer", "m"), "skill"] == pytest.approx(np.std(per_sample, ddof=1))
    by_seed = [np.mean([0.3, 0.7, 0.3]), np.mean([0.31, 0.73, 0.3])]
    assert over_seeds(table(rows), ["skill"]).loc[("imputer", "m"), "skill"] == pytest.approx(np.std(by_seed, ddof=1))


def test_a_verdict_counts_sections_and_samples_against_the_best_baseline():
    sections = [(f"{donor}", f"{donor}{i}") for donor in "ABCD" for i in (2, 3)]
    rows = [("baseline", "weak", d, "1", s, 0, 0.05) for d, s in sections]
    rows += [("baseline", "strong", d, "1", s, 0, 0.20) for d, s in sections]
    # better everywhere but on A2
    rows += [("imputer", "m", d, "1", s, 0, 0.15 if s == "A2" else 0.3) for d, s in sections]
    verdict = verdicts(table(rows))[0]
    assert (verdict.against, verdict.sections.better, verdict.sections.worse) == ("strong", 7, 1)
    assert (verdict.samples.better, verdict.samples.pairs) == (4, 4)
    assert verdict.samples.p_sign == pytest.approx(0.125)
    text = str(verdict)
    assert "better than the best baseline (strong) on 7 of 8 sections, on 4 of 4 samples" in text
    assert "the smallest p that 4 samples can reach is 0.12" in text


def test_one_sample_is_judged_by_its_sections_with_a_caution():
    rows = [("baseline", "b", "A", "1", s, 0, 0.1) for s in "xyz"]
    rows += [("imputer", "m", "A", "1", s, 0, 0.2) for s in "xyz"]
    assert "of one sample and so not independent: sign p = 0.25" in str(verdicts(table(rows))[0])


def test_a_mean_profile_is_no_better_than_the_mean(stack):
    evaluation = evaluate(impute(stack, known=["s0"], method="mean", genes=12, baselines=False), stack)
    rows = evaluation.sections[evaluation.sections["role"] == "imputer"]
    assert len(rows) == 2
    assert rows["skill"].abs().max() <= 1e-9
    assert (rows["pcc_mean"] == 0).all()
    assert all("no better than the mean" in str(verdict) for verdict in evaluation.verdicts)
    assert str(evaluation).count("no better than the mean") == 2


def test_a_method_that_is_worse_than_the_mean_is_told_so(stack):
    imputed = impute(stack, known=["s0"], method="kernel", genes=12, baselines=False)
    imputed.X = imputed.X + 3.0
    skill, correlation = evaluate(imputed, stack).verdicts
    assert "squared error: no better than the mean (skill -" in str(skill)
    assert correlation.is_better_than_mean


def test_baselines_controls_and_oracles_always_stand_in_the_table(by_kernel):
    table = by_kernel[1].summary().index
    assert set(table) >= {
        ("imputer", "kernel"),
        *(("baseline", name) for name in ("mean", "nearest", "kernel", "propagate", "ridge")),
        ("control", "kernel, spots permuted"),
        ("control", "kernel, identity alignment"),
        ("control", "kernel, own spots shuffled"),
        ("oracle", "own mean"),
        ("oracle", "8 true neighbours"),
        ("oracle", "ceiling by thinning"),
    }
    for _, method in table:
        assert method in str(by_kernel[1])


def test_the_method_under_test_is_scored_on_what_it_said(by_kernel):
    evaluation = by_kernel[1]
    one, same = (evaluation.sections[evaluation.sections["role"] == role] for role in ("imputer", "baseline"))
    same = same[same["method"] == "kernel"]
    np.testing.assert_allclose(one[list(METRICS)], same[list(METRICS)])


def test_spots_are_matched_by_name_in_any_order(stack, by_kernel):
    imputed, expected = by_kernel
    order = np.random.default_rng(0).permutation(imputed.n_obs)
    shuffled = {s.name: s.spots[np.random.default_rng(1).permutation(s.spots.n_obs)].copy() for s in stack}
    found = evaluate(imputed[order].copy(), shuffled).summary()["pcc_mean"]
    assert found["imputer", "kernel"] == pytest.approx(expected.summary()["pcc_mean"]["imputer", "kernel"], abs=1e-6)


def test_controls_lose_what_the_kernel_finds(by_kernel):
    r = by_kernel[1].summary()["pcc_mean"]
    assert r["imputer", "kernel"] > 0.4
    for control in ("kernel, spots permuted", "kernel, own spots shuffled"):
        assert abs(r["control", control]) < 0.2
    assert r["control", "kernel, identity alignment"] < r["imputer", "kernel"] - 0.2
    assert r["imputer", "kernel"] < r["oracle", "ceiling by thinning"]


def test_distance_and_registration_stand_beside_each_section(by_kernel):
    sections = by_kernel[1].sections
    assert dict(sections.groupby("section")["distance_um"].first()) == {"s1": 50.0, "s2": 100.0}
    assert set(sections["registration"]) == {"registered"}
    assert (sections["quality_ncc"] == 0.3).all()


def test_coverage_is_told_by_support(by_kernel):
    coverage = by_kernel[1].coverage
    assert set(coverage["method"]) == {"kernel"}
    assert coverage["rows"].sum() == 2 * 81
    sections = by_kernel[1].sections
    whole = sections.loc[sections["role"] == "imputer", "coverage"].mean()
    assert np.average(coverage["coverage"], weights=coverage["rows"]) == pytest.approx(whole)


def test_a_lone_per_spot_correlation_is_refused(by_kernel):
    evaluation = by_kernel[1]
    with pytest.raises(InputError, match="dominated by differences between genes"):
        evaluation.summary(["pcc_mean", "per_spot_pcc"])
    both = evaluation.summary(["per_spot_pcc", "per_spot_pcc_of_mean"])
    assert both["per_spot_pcc_of_mean"].between(0.3, 1).loc["imputer"].all()
    for text in (str(evaluation), (markdown := _page(evaluation))):
        for line in text.splitlines():
            assert ("per-spot r" in line) == ("per-spot r of the mean" in line)
        assert "dominated by differences between genes" in text
    assert "per-spot r" in markdown
    with pytest.raises(InputError, match="There is no figure 'pearson'"):
        evaluation.summary(["pearson"])


def _page(evaluation):
    from insignia.spatial.evaluation.page import markdown

    return markdown(evaluation)


def test_the_truth_may_come_in_any_form(stack, by_kernel):
    imputed, expected = by_kernel
    tables = {}
    for section in stack:
        spots = section.spots.copy()
        spots.obs[keys.SECTION], spots.obs[keys.SPOT] = section.name, spots.obs_names
        spots.obs_names = [f"{section.name}:{name}" for name in spots.obs_names]
        tables[section.name] = spots
    import anndata as ad

    one = ad.concat(list(tables.values()))
    for truth in (tables, one):
        found = evaluate(imputed, truth)
        pd.testing.assert_frame_equal(found.sections, expected.sections)


def test_files_hold_the_tables_the_averages_and_a_page(by_kernel, tmp_path):
    evaluation = by_kernel[1]
    paths = evaluation.write(tmp_path / "out")
    assert sorted(path.name for path in paths) == [
        "coverage.csv", "evaluation.json", "evaluation.md", "genes.csv", "sections.csv",
    ]  # fmt: skip
    read = pd.read_csv(tmp_path / "out/sections.csv")
    assert len(read) == len(evaluation.sections)
    record = json.loads((tmp_path / "out/evaluation.json").read_text())
    assert record["verdicts"] == [str(verdict) for verdict in evaluation.verdicts]
    assert len(record["methods"]) == len(evaluation.summary())
    assert record["about"]["genes"] == 12
    assert "## Verdict" in (tmp_path / "out/evaluation.md").read_text()


def test_joined_evaluations_average_over_samples(by_kernel):
    evaluation = by_kernel[1]
    other = Evaluation(
        evaluation.sections.assign(sample="other", pcc_mean=evaluation.sections["pcc_mean"] + 0.1),
        evaluation.genes.assign(sample="other"),
        evaluation.coverage.assign(sample="other"),
        evaluation.notes,
        evaluation.about,
    )
    joined = Evaluation.join([evaluation, other])
    one, two = evaluation.summary(), joined.summary()
    np.testing.assert_allclose(two["pcc_mean"], one["pcc_mean"] + 0.05)
    np.testing.assert_allclose(two["pcc_mean_sd"], 0.1 / np.sqrt(2), atol=1e-12)
    assert "4 hidden sections of 2 samples" in str(joined)
    with pytest.raises(InputError, match="no evaluation to join"):
        Evaluation.join([])


def test_evaluate_refuses_what_it_cannot_judge(stack, by_kernel):
    imputed = by_kernel[0]
    bare = imputed.copy()
    del bare.uns[keys.IMPUTATION]
    with pytest.raises(MissingMetadata, match="says how the expression was imputed"):
        evaluate(bare, stack)
    with pytest.raises(InputError, match="The truth has no section s0, which the imputation knew"):
        evaluate(imputed, SectionStack("block", (stack["s1"], stack["s2"]), 100.0))
    with pytest.raises(InputError, match="Nothing can be scored"):
        evaluate(imputed, SectionStack("block", (stack["s0"],), 100.0))
    with pytest.raises(InputError, match=r"80 of 81 spots.* were not imputed"):
        evaluate(imputed[[*range(1), *range(81, 162)]].copy(), stack)
    with pytest.raises(MissingMetadata, match=r"The truth needs obs\['section'\]"):
        evaluate(imputed, stack["s1"].spots)
    with pytest.raises(InputError, match="knows nothing of section 'x'"):
        evaluate(imputed, {"x": stack["s1"].spots})


def test_the_truth_must_be_counts_of_the_imputed_genes(stack, by_kernel):
    imputed = by_kernel[0]
    logged = {section.name: section.spots.copy() for section in stack}
    logged["s1"].X = np.log1p(logged["s1"].X)
    with pytest.raises(InputSpaceError, match="section 's1' of the truth"):
        evaluate(imputed, logged)
    other = {section.name: section.spots.copy() for section in stack}
    other["s2"].var_names = [f"X{i}" if i > 4 else f"G{i}" for i in range(12)]
    with pytest.raises(GeneMatchError, match="measures 5 of the 12 imputed genes"):
        evaluate(imputed, other)
    other["s2"] = stack["s2"].spots[:, :10].copy()
    rows = evaluate(imputed, other).sections
    assert dict(rows.groupby("section")["genes"].first()) == {"s1": 12, "s2": 10}
