"""Single-cell foundation models: one contract, one file per family, and `load`, which recognises a directory."""

from insignia.models import fakes
from insignia.models.contract import AffineLayer, Encoder, Inputs, Precision, StraightPath
from insignia.models.gene_transform import GeneTransform
from insignia.models.geneformer import load_geneformer
from insignia.models.log_check import check_logs
from insignia.models.mlp import MLPEncoder
from insignia.models.pca import fit_pca
from insignia.models.registry import Family, align, as_encoder, families, load
from insignia.models.scfoundation import load_scfoundation
from insignia.models.scgpt import load_scgpt
from insignia.models.scimilarity import load_scimilarity, save_scimilarity
from insignia.models.scvi import load_scvi
from insignia.models.scvi_converted import convert_scvi
from insignia.models.ssl_sctab import load_ssl_sctab
from insignia.models.torch_encoder import TorchEncoder
from insignia.models.train import train
from insignia.training import TrainOptions

__all__ = [
    "AffineLayer",
    "Encoder",
    "Family",
    "GeneTransform",
    "Inputs",
    "MLPEncoder",
    "Precision",
    "StraightPath",
    "TorchEncoder",
    "TrainOptions",
    "align",
    "as_encoder",
    "check_logs",
    "convert_scvi",
    "fakes",
    "families",
    "fit_pca",
    "load",
    "load_geneformer",
    "load_scfoundation",
    "load_scgpt",
    "load_scimilarity",
    "load_scvi",
    "load_ssl_sctab",
    "save_scimilarity",
    "train",
]
