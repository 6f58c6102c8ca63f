"""Numbers that describe what the picture of a section shows at each spot."""

from insignia.spatial.features.contract import ImageEncoder, find_encoder, image_encoders
from insignia.spatial.features.handcrafted import HandcraftedEncoder
from insignia.spatial.features.scaling import zscore_within_section

__all__ = ["HandcraftedEncoder", "ImageEncoder", "find_encoder", "image_encoders", "zscore_within_section"]
