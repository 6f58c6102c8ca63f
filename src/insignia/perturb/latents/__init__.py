"""Latent spaces in which cells move, one file each; importing this registers them."""

from insignia.perturb.latents.contract import Latent, LatentRequest, latents
from insignia.perturb.latents.module import ModuleLatent
from insignia.perturb.latents.pca import PCALatent

__all__ = ["Latent", "LatentRequest", "ModuleLatent", "PCALatent", "latents"]
