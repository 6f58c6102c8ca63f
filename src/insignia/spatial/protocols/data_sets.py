"""HER2ST, DLPFC and ST-Data."""

from typing import Final

from insignia.spatial.protocols.contract import Protocol, protocols

__all__ = ["DLPFC", "HER2ST", "ST_DATA"]

_DLPFC_DONORS: Final = {
    "Br5292": ("151507", "151508", "151509", "151510"),
    "Br5595": ("151669", "151670", "151671", "151672"),
    "Br8100": ("151673", "151674", "151675", "151676"),
}
# pairs of neighbours 10 um apart, and 300 um from pair to pair
_DLPFC_DEPTHS: Final = (0.0, 10.0, 310.0, 320.0)

HER2ST: Final = Protocol(
    title="HER2ST: HER2-positive breast cancer, 8 patients",
    layout="her2st",
    wanted="Download doi:10.5281/zenodo.4751624 or almaan/her2st, and name the folder that holds ST-cnts, ST-spotfiles "
    "and ST-imgs.",
)
DLPFC: Final = Protocol(
    title="DLPFC: human dorsolateral prefrontal cortex, 3 donors",
    layout="visium",
    wanted="Download the 10x folders of LieberInstitute/HumanPilot, put each section's "
    "filtered_feature_bc_matrix.h5 into its folder (151507 and so on), and name the folder that holds them.",
    donors={name: donor for donor, names in _DLPFC_DONORS.items() for name in names},
    z_um={name: z for names in _DLPFC_DONORS.values() for name, z in zip(names, _DLPFC_DEPTHS, strict=True)},
)
ST_DATA: Final = Protocol(
    title="ST-Data: breast cancer of He et al., 23 patients",
    layout="he2020",
    wanted="Download doi:10.17632/29ntw7sh4r, unpack it, and name the folder that holds metadata.csv.",
)

protocols.add("her2st", source="doi:10.1038/s41467-021-26271-2")(HER2ST)
protocols.add("dlpfc", source="doi:10.1038/s41593-020-00787-0")(DLPFC)
protocols.add("st-data", source="doi:10.1038/s41551-020-0578-x")(ST_DATA)
