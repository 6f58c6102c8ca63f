"""What is known about genes beforehand, read from files that the user names; what is missing is said, never zero."""

from insignia.perturb.priors.coverage import MatchedPriors, match_priors
from insignia.perturb.priors.embedding_files import read_embedding
from insignia.perturb.priors.gene_sets import from_gene_sets, read_gene_sets
from insignia.perturb.priors.prior_folder import load_priors, save_priors
from insignia.perturb.priors.read import read_priors
from insignia.perturb.priors.string_network import read_string

__all__ = [
    "MatchedPriors",
    "from_gene_sets",
    "load_priors",
    "match_priors",
    "read_embedding",
    "read_gene_sets",
    "read_priors",
    "read_string",
    "save_priors",
]
