"""Pure statistics over arrays: cut-offs that make hits of scores, and metrics."""

from insignia.stats.hits import cutoff, rules
from insignia.stats.metrics import auroc

__all__ = ["auroc", "cutoff", "rules"]
