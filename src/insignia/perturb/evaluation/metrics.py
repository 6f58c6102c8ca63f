"""The figures of a prediction by name, each with its definition."""

from typing import Final

from insignia.core.errors import InputError

__all__ = ["LOWER_IS_BETTER", "METRICS", "check_metric"]

METRICS: Final = {
    "l2": "distance of predicted and measured mean over all genes",
    "l2_top1000": "the same over the 1,000 genes that controls express most",
    "mse": "mean squared error of the mean over all genes",
    "wmse": "the same with genes weighted by their squared t-score against the reference controls",
    "pearson_delta": "correlation over genes of predicted and measured effect, against reference controls",
    "pearson_from_mean": "the same against the mean of all training perturbations, which a constant cannot satisfy",
    "weighted_r2": "share of the weighted squared error of the mean of all training perturbations that is removed",
    "direction": "share of the 20 most significant genes whose direction is right",
    "top20_overlap": "share of the 20 most significant genes among the 20 largest predicted effects",
    "top50_overlap": "share of the 50 most significant genes among the 50 largest predicted effects",
    "de_direction": "share of all significant genes (Welch, 5 % false discoveries) whose direction is right",
    "de_spearman": "rank correlation of predicted and measured effect over the significant genes, at least 5",
    "pds_l1": "share of other test conditions farther from the prediction than the right one, by L1 of means",
    "pds_cosine": "the same by cosine of effects",
    "centroid_accuracy": "share of all other conditions, trained ones too, that are farther by Euclidean distance",
    "edistance": "energy distance, plain Euclidean, self pairs left out, in 50 training components",
    "edistance_sq": "the same with squared distances, which sees means only",
    "mmd": "squared MMD, Gaussian kernel of one bandwidth, unbiased, in 50 training components",
    "wasserstein_effect": "Wasserstein distance along the measured effect, which sees responders and escapers",
    "responders_off": "difference of the shares of cells beyond the 95 % point of controls along the measured effect",
    "variance_ratio": "total variance of predicted over measured cells, in 50 training components",
    "des": "share of the significant genes that a test of predicted cells finds, its list cut to the same length",
}
"""Name of each figure, and what it is."""

LOWER_IS_BETTER: Final = frozenset(
    {"l2", "l2_top1000", "mse", "wmse", "edistance", "edistance_sq", "mmd", "wasserstein_effect", "responders_off"}
)


def check_metric(name: str) -> str:
    """Refuse a figure that does not exist, and one of which neither more nor less is better."""
    if name not in METRICS:
        raise InputError(f"There is no figure {name!r}; there are {', '.join(METRICS)}.")
    if name == "variance_ratio":
        raise InputError("A variance ratio is best at 1, so that methods cannot be ranked by it.")
    return name
