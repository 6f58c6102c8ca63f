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
from torch.utils.checkpoint import checkpoint

from insignia.core.errors import DuplicateNames, InputError, ModelFormatError
from insignia.data import Cells
from insignia.genes import GeneVocabulary
from insignia.models.checkpoint import need_tensor, read_lines, read_torch
from insignia.models.contract import Context, Encoder, Inputs, StraightPath, fingerprint
from insignia.models.preprocessing import log_normalise
from insignia.models.registry import families
from insignia.models.scfoundation_network import EXTRA, SCFoundationNetwork

__all__ = ["SCFoundationEncoder", "load_scfoundation"]

_GENE_FILE: Final = "OS_scRNA_gene_index.19264.tsv"
_POOLS: Final = ("all", "max")
# numbers per token, unit of width and layer that a backward pass keeps, about
_KEPT: Final = 16


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
    found = module.pos_emb.num_embeddings - EXTRA
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

    Attributes
    ----------
    max_values
        Numbers that a backward pass may keep at a time: longer work is cut into pieces, which are computed twice.
    """

    accepts = frozenset({"counts"})
    module: SCFoundationNetwork
    max_values: int = 2**28

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
        how = f"scfoundation:align,sum=10000,log1p,{tgthighres},{pool},{module.heads},{module.bin_alpha}"
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
        return Inputs(values, {"depth": depth})

    def path(self, inputs: Inputs, baseline: Inputs | None) -> StraightPath:
        """Move the amounts of the cell's expressed genes, (cells, tokens), padded to the longest cell.

        Another baseline than zero gives these genes its amounts; genes that only the baseline expresses have no token.
        """
        tokens, end = _tokens(inputs.values)
        start = torch.zeros_like(end)
        if baseline is not None:
            amounts = torch.from_numpy(baseline.values.toarray()[0])
            start = amounts[tokens.clamp(min=0)] * (tokens >= 0)
        return StraightPath(start, end, {**inputs.context, "tokens": tokens})

    def forward(self, point: Tensor, context: Context) -> Tensor:
        """Embed amounts at their genes: (rows, tokens) -> (rows, latent), in pieces of bounded memory."""
        tokens, depth = context["tokens"], context["depth"]
        per_row = (point.shape[1] + 2) * self.module.width * self.module.n_layers * _KEPT
        size = max(1, self.max_values // per_row)
        if len(point) <= size:
            return self._embed(point, tokens, depth)
        pieces = zip(*(torch.split(part, size) for part in (point, tokens, depth)), strict=True)
        if not (torch.is_grad_enabled() and point.requires_grad):
            return torch.cat([self._embed(*piece) for piece in pieces])
        return torch.cat(
            [checkpoint(self._embed, *piece, use_reentrant=False, preserve_rng_state=False) for piece in pieces]
        )

    def to_genes(self, attribution: Tensor, context: Context) -> Tensor:
        """Put the attribution of each token at its gene."""
        tokens = context["tokens"]
        genes = torch.zeros(len(tokens), len(self.genes), dtype=attribution.dtype, device=attribution.device)
        return genes.scatter_add_(1, tokens.clamp(min=0), attribution * (tokens >= 0))

    def describe(self) -> dict[str, Any]:
        """Facts for people, with the T token and the pooling."""
        return super().describe() | {"tgthighres": self.tgthighres, "pool": self.pool}

    def _embed(self, point: Tensor, tokens: Tensor, depth: Tensor) -> Tensor:
        longest = max(1, int((tokens >= 0).sum(1).max())) if len(tokens) else 1
        tokens, point = tokens[:, :longest], point[:, :longest]
        present = tokens >= 0
        out: Tensor = self.module(point, tokens, depth)
        at_target, at_measured, rest = out[:, 0], out[:, 1], out[:, 2:]
        if self.pool == "max":
            everywhere = functional.pad(present, (2, 0), value=True)
            return out.masked_fill(~everywhere[..., None], -torch.inf).amax(1)
        is_empty = ~present.any(1, keepdim=True)
        highest = rest.masked_fill(~present[..., None], -torch.inf).amax(1).masked_fill(is_empty, 0)
        mean = (rest * present[..., None]).sum(1) / present.sum(1, keepdim=True).clamp(min=1)
        return torch.cat([at_measured, at_target, highest, mean], dim=1)


def _tokens(values: csr_matrix) -> tuple[Tensor, Tensor]:
    """Pad the expressed genes of each cell on the right, with at least one place: gene ids (-1: none) and amounts."""
    lengths = np.diff(values.indptr)
    rows = np.repeat(np.arange(len(lengths)), lengths)
    places = np.arange(values.nnz) - np.repeat(values.indptr[:-1], lengths)
    shape = (len(lengths), max(1, int(lengths.max(initial=0))))
    tokens, amounts = np.full(shape, -1, dtype=np.int64), np.zeros(shape, dtype=np.float32)
    tokens[rows, places], amounts[rows, places] = values.indices, values.data
    return torch.from_numpy(tokens), torch.from_numpy(amounts)


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
    mine = {str(name).partition("model.")[2] or str(name): value for name, value in state.items()}
    shapes = [need_tensor(mine, name, source).shape for name in ("token_emb.emb.weight", "pos_emb.weight")]
    if any(len(shape) != 2 for shape in shapes) or shapes[1][0] <= EXTRA:
        raise ModelFormatError(f"{source}: token_emb.emb and pos_emb should be matrices, found {[*map(list, shapes)]}.")
    numbers = {
        int(match.group(1)) for name in mine if (match := re.match(r"encoder\.transformer_encoder\.(\d+)", name))
    }
    (bins, width), (positions, _) = shapes
    found = {"hidden_dim": width, "depth": len(numbers), "heads": config["heads"]}
    named = {name: config[name] for name in found}
    if named != found or not isinstance(found["heads"], int) or found["heads"] < 1 or width % found["heads"]:
        raise ModelFormatError(f"{source}: the config names {named}, and the weights have {found}.")
    with torch.device("meta"):
        module = SCFoundationNetwork({**found, "bin_num": bins, "positions": positions}, config["bin_alpha"])
    weights = {}
    for name, expected in module.state_dict().items():
        weights[name] = need_tensor(mine, name, source)
        if weights[name].shape != expected.shape or not weights[name].is_floating_point():
            raise ModelFormatError(
                f"{source}: {name} should hold {[*expected.shape]} floats, found {[*weights[name].shape]} of "
                f"{weights[name].dtype}."
            )
    module.load_state_dict(weights, assign=True)
    return module


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
