"""The only kinds of objects that a saved predictor may consist of, by name."""

from typing import Any, Final

from insignia.data.gene_priors import GeneEmbedding
from insignia.perturb.condition_vectors import ConditionVectors
from insignia.perturb.effects import GroupEffects
from insignia.perturb.flow.network import FlowNetwork, SetEncoder, VelocityNetwork
from insignia.perturb.flow.options import FlowOptions
from insignia.perturb.flow.tokens import TokenTable
from insignia.perturb.flow.trained import TrainedFlow
from insignia.perturb.flow.trust import Trust
from insignia.perturb.latents import ModuleLatent, PCALatent
from insignia.perturb.predictors.ridge import Line

__all__ = ["PARTS"]

PARTS: Final[dict[str, type[Any]]] = {
    part.__name__: part
    for part in (
        ConditionVectors,
        FlowNetwork,
        FlowOptions,
        GeneEmbedding,
        GroupEffects,
        Line,
        ModuleLatent,
        PCALatent,
        SetEncoder,
        TokenTable,
        TrainedFlow,
        Trust,
        VelocityNetwork,
    )
}
"""Dataclasses, networks with `sizes`, and classes with `state` and `from_state`."""
