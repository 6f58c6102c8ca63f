"""Fitted predictors in folders of JSON and safetensors: nothing in them can run, and a changed byte is found."""

from insignia.perturb.saving.pack import pack, unpack

__all__ = ["pack", "unpack"]
