"""Genes and signatures: vocabularies, matching with a report, alignment with a model, gene sets and scores."""

from insignia.genes.align import GeneAlignment
from insignia.genes.controls import control_genes
from insignia.genes.coverage import covered_match, unit_weights
from insignia.genes.gmt import read_gmt, write_gmt
from insignia.genes.library import bundled, load_signature, signature
from insignia.genes.match import GeneMatch, match_genes
from insignia.genes.pasted import paste_of, pasted, pasted_file
from insignia.genes.renames import Renames, bundled_renames, load_renames
from insignia.genes.score import normaliser, score
from insignia.genes.signature import Signature
from insignia.genes.vocabulary import GeneVocabulary

__all__ = [
    "GeneAlignment",
    "GeneMatch",
    "GeneVocabulary",
    "Renames",
    "Signature",
    "bundled",
    "bundled_renames",
    "control_genes",
    "covered_match",
    "load_renames",
    "load_signature",
    "match_genes",
    "normaliser",
    "paste_of",
    "pasted",
    "pasted_file",
    "read_gmt",
    "score",
    "signature",
    "unit_weights",
    "write_gmt",
]
