"""Single-cell foundation models: one contract, one file per family, and `load`, which recognises a directory."""

from insignia.models import fakes
from insignia.models.contract import AffineLayer, Encoder, Inputs, StraightPath
from insignia.models.mlp import MLPEncoder
from insignia.models.pca import fit_pca
from insignia.models.registry import Family, families, load
from insignia.models.scimilarity import load_scimilarity, save_scimilarity
from insignia.models.train import train
from insignia.training import TrainOptions

__all__ = [
    "AffineLayer",
    "Encoder",
    "Family",
    "Inputs",
    "MLPEncoder",
    "StraightPath",
    "TrainOptions",
    "fakes",
    "families",
    "fit_pca",
    "load",
    "load_scimilarity",
    "save_scimilarity",
    "train",
]
