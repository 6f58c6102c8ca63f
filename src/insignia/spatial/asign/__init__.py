"""ASIGN: a network that describes spots by their surroundings, read out by the Gaussian model of the blend."""

from insignia.spatial.asign.files import load_asign, save_asign
from insignia.spatial.asign.fit import fit_asign
from insignia.spatial.asign.model import AsignModel, AsignOptions

__all__ = ["AsignModel", "AsignOptions", "fit_asign", "load_asign", "save_asign"]
