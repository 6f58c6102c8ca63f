"""scFoundation: a transformer over all expressed genes of a cell, whose amounts enter continuously.

Layout, network and preprocessing follow Hao et al., Nature Methods 2024 (doi:10.1038/s41592-024-02305-7), and the files
of its code release. A cell is the tokens of all its expressed genes and two more: S, log10 of its counts, and T, log10
of the depth that the model should imagine. Attribution moves the amounts of the expressed genes from zero; which genes
have a token, S and T stay as they are.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor
from torch.nn import functional

from insignia.core.errors import DuplicateNames, InputError, ModelFormatError
from insignia.data import Cells
from insignia.genes import GeneVocabulary
from insignia.models.checkpoint import read_lines, read_torch
from insignia.models.contract import Context, Encoder, Inputs, StraightPath, fingerprint
from insignia.models.gene_transform import LOG1P
from insignia.models.preprocessing import log_normalise
from insignia.models.registry import families
from insignia.models.scfoundation_network import EXTRA, Amounts, SCFoundationNetwork
from insignia.models.transformer import encoder_blocks, tokens_to_genes, trimmed, values_at
from insignia.models.weights import Weights

__all__ = ["SCFoundationEncoder", "load_scfoundation"]

_GENE_FILE: Final = "OS_scRNA_gene_index.19264.tsv"
_POOLS: Final = ("all", "max")
_EPS: Final = 1e-5


@families.add("scfoundation", source="doi:10.1038/s41592-024-02305-7")
class _SCFoundation:
    needs = f"models.ckpt and {_GENE_FILE}"

    @staticmethod
    def recognises(path: Path) -> bool:
        return (path / "models.ckpt").is_file()

    @staticmethod
    def load(path: Path) -> Encoder:
        return load_scfoundation(path)


def load_scfoundation(
    path: str | Path, *, key: str = "cell", tgthighres: str = "t4", pool: str = "all"
) -> "SCFoundationEncoder":
    """Load a directory with ``models.ckpt`` and ``OS_scRNA_gene_index.19264.tsv``, on the CPU.

    Parameters
    ----------
    path
        The directory.
    key
        Which network of the file: ``"cell"`` for cell embeddings, ``"rde"`` for read-depth enhancement, ``"gene"``.
    tgthighres
        The T token: ``"t4"`` is 4 for every cell, ``"f1.5"`` log10 of 1.5 times the cell's counts, ``"a5"`` S + 5.
    pool
        ``"all"`` joins the outputs at S and at T, and the maximum and mean over genes, in this order; ``"max"`` is the
        maximum over all tokens.

    Raises
    ------
    ModelFormatError
        A file, a network or a tensor is missing, or shapes disagree.
    InputError
        `tgthighres` or `pool` is none of the above.
    """
    path = Path(path)
    source = path / "models.ckpt"
    content = read_torch(source)
    part = content.get(key)
    if not isinstance(part, Mapping) or not {"config", "state_dict"} <= set(part):
        raise ModelFormatError(
            f"{source} should hold a network {key!r} with config and state_dict; it holds {sorted(map(str, content))}."
        )
    genes = _read_genes(path / _GENE_FILE)
    module = _read_network(_flat_config(part["config"], source), part["state_dict"], source)
    found = len(module.positions) - EXTRA
    if found != len(genes):
        raise ModelFormatError(f"{source} knows {found:,} genes, and {_GENE_FILE} lists {len(genes):,}.")
    return SCFoundationEncoder(path.resolve().name, genes, module, tgthighres=tgthighres, pool=pool)


class SCFoundationEncoder(Encoder):
    """The encoder of scFoundation, from counts to a cell embedding.

    Differences from the published script: S of a cell without counts is 0 (log10 of 0 there), S and T keep their
    tokens when they are 0 or below, a cell without expressed genes has maximum and mean 0, and an amount is never
    taken for the mask or the padding because of its value.

    Parameters
    ----------
    name, genes
        What the model is called, and its genes in the order of its position ids.
    module
        The network.
    tgthighres, pool
        As for `load_scfoundation`.
    """

    accepts = frozenset({"counts"})
    transform = LOG1P
    reads_expressed_genes = True
    module: SCFoundationNetwork

    def __init__(
        self,
        name: str,
        genes: GeneVocabulary,
        module: SCFoundationNetwork,
        *,
        tgthighres: str = "t4",
        pool: str = "all",
    ) -> None:
        if pool not in _POOLS:
            raise InputError(f"pool should be one of {list(_POOLS)}, found {pool!r}.")
        if not re.fullmatch(r"[tfa]\d+(\.\d+)?", tgthighres) or (tgthighres[0] == "f" and not float(tgthighres[1:])):
            raise InputError(f"tgthighres should be 't', 'f' or 'a' and a number, like 't4', found {tgthighres!r}.")
        self.name, self.genes, self.tgthighres, self.pool = name, genes, tgthighres, pool
        self.module = module.eval().requires_grad_(False)
        design = f"{module.blocks[0].heads},{module.amounts.bin_alpha}"
        how = f"scfoundation:align,sum=10000,log1p,{tgthighres},{pool},{design}"
        self.fingerprint = fingerprint(module.state_dict(), genes, how)

    def prepare(self, cells: Cells) -> Inputs:
        """Scale each cell to 10,000 over the model's genes, take log1p, and keep its counts as S and T."""
        self.check_space(cells.space)
        # a copy: the places of the values are shared with the cells
        values = log_normalise(cells).copy()
        values.eliminate_zeros()
        counts = np.maximum(np.asarray(cells.matrix.sum(axis=1, dtype=np.float64)).ravel(), 1)
        rule, number = self.tgthighres[0], float(self.tgthighres[1:])
        measured = np.log10(counts)
        target = {"t": np.full_like(counts, number), "f": np.log10(counts * number), "a": measured + number}[rule]
        depth = torch.from_numpy(np.stack([target, measured], axis=1).astype(np.float32))
        return Inputs(values, {"depth": depth, "tokens": _tokens(values)})

    def path(self, inputs: Inputs, baseline: Inputs | None) -> StraightPath:
        """Move the amounts of the cell's expressed genes, (cells, tokens), padded to the longest cell.

        Another baseline than zero gives these genes its amounts; genes that only the baseline expresses have no token.
        """
        tokens = trimmed(inputs.context["tokens"])
        end = values_at(inputs.values, tokens, self.dtype)
        start = torch.zeros_like(end) if baseline is None else values_at(baseline.values, tokens, self.dtype)
        return StraightPath(start, end, {**inputs.context, "tokens": tokens})

    def forward(self, point: Tensor, context: Context) -> Tensor:
        """Embed amounts at their genes: (rows, tokens) -> (rows, latent)."""
        present = context["tokens"] >= 0
        out: Tensor = self.module(point, context["tokens"], context["depth"])
        at_target, at_measured, rest = out[:, 0], out[:, 1], out[:, 2:]
        if self.pool == "max":
            everywhere = functional.pad(present, (2, 0), value=True)
            return out.masked_fill(~everywhere[..., None], -torch.inf).amax(1)
        is_empty = ~present.any(1, keepdim=True)
        highest = rest.masked_fill(~present[..., None], -torch.inf).amax(1).masked_fill(is_empty, 0)
        mean = (rest * present[..., None]).sum(1) / present.sum(1, keepdim=True).clamp(min=1)
        return torch.cat([at_measured, at_target, highest, mean], dim=1)

    def to_genes(self, attribution: Tensor, context: Context) -> Tensor:
        """Put the attribution of each token at its gene."""
        return tokens_to_genes(attribution, context["tokens"], len(self.genes))

    def describe(self) -> dict[str, Any]:
        """Facts for people, with the T token and the pooling."""
        return super().describe() | {"tgthighres": self.tgthighres, "pool": self.pool}


def _tokens(values: csr_matrix) -> Tensor:
    """Pad the expressed genes of each cell on the right, with at least one place: gene ids, -1 where there is none."""
    lengths = np.diff(values.indptr)
    rows = np.repeat(np.arange(len(lengths)), lengths)
    places = np.arange(values.nnz) - np.repeat(values.indptr[:-1], lengths)
    tokens = np.full((len(lengths), max(1, int(lengths.max(initial=0)))), -1, dtype=np.int64)
    tokens[rows, places] = values.indices
    return torch.from_numpy(tokens)


def _flat_config(config: Any, source: Path) -> dict[str, Any]:
    """Join the published config of the model and of its data."""
    try:
        model = config["model"]
        flat = {**config["model_config"][model], **config["dataset_config"]["rnaseq"]}
        encoder, bin_alpha = dict(flat["encoder"]), float(flat["bin_alpha"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFormatError(
            f"{source}: config should hold model, model_config and dataset_config, with encoder and bin_alpha "
            f"among them ({error!r})."
        ) from error
    kind = (model, encoder.get("module_type", "transformer"))
    if kind != ("mae_autobin", "transformer"):
        raise ModelFormatError(f"{source}: the network should be mae_autobin with a transformer encoder, found {kind}.")
    return {"bin_alpha": bin_alpha, **{name: encoder.get(name) for name in ("hidden_dim", "depth", "heads")}}


def _read_network(config: dict[str, Any], state: Any, source: Path) -> SCFoundationNetwork:
    """Build the network; sizes come from the weights, and those that the config names must agree."""
    if not isinstance(state, Mapping):
        raise ModelFormatError(f"{source}: state_dict should be a dict of tensors, found {type(state).__name__}.")
    weights = Weights({str(name).partition("model.")[2] or str(name): value for name, value in state.items()}, source)
    bins = weights.tensor("token_emb.emb.weight", -1, -1)
    n_bins, width = bins.shape
    positions = weights.tensor("pos_emb.weight", -1, width)
    found = {"hidden_dim": width, "depth": weights.n_layers(r"encoder\.transformer_encoder\.(\d+)\.")}
    heads = config["heads"]
    if any(config[name] != size for name, size in found.items()) or not _divides(heads, width):
        raise ModelFormatError(f"{source}: the config names {config}, and the weights have {found}.")
    first, second = weights.linear("token_emb.mlp", n_bins, 1), weights.linear("token_emb.mlp2", n_bins, n_bins)
    return SCFoundationNetwork(
        Amounts(first, second, bins, config["bin_alpha"]),
        positions,
        encoder_blocks(weights, "encoder.transformer_encoder", width, heads=heads),
        weights.norm("encoder.norm", width, _EPS),
    )


def _divides(heads: Any, width: int) -> bool:
    return isinstance(heads, int) and heads >= 1 and width % heads == 0


def _read_genes(path: Path) -> GeneVocabulary:
    """Read ``gene_name<tab>index`` with a header, in the order of the index."""
    header, *lines = read_lines(path) or [""]
    rows = [line.split("\t") for line in lines]
    if header.split("\t") != ["gene_name", "index"] or any(len(row) != 2 for row in rows):
        raise ModelFormatError(f"{path} should have the columns gene_name and index, found {header[:60]!r}.")
    order = {index: name for name, index in rows}
    if set(order) != {str(i) for i in range(len(rows))}:
        raise ModelFormatError(f"{path}: index should number its {len(rows):,} genes from 0, each once.")
    names = [order[str(i)] for i in range(len(rows))]
    repeated = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if repeated:
        raise DuplicateNames(f"{path} lists {len(repeated)} genes more than once, e.g. {repeated[:3]}.")
    return GeneVocabulary.from_names(names, organism="human")
