"""Numbers that describe what the picture of a section shows at each spot.

Encoders with weights are in `vit`, `resnet` and `transformers_folder`, which load torch.
"""

from insignia.spatial.features import makers  # noqa: F401 - registers the encoders that need torch
from insignia.spatial.features.cache import FeatureCache, clear_feature_cache
from insignia.spatial.features.contract import ImageEncoder, find_encoder, image_encoders
from insignia.spatial.features.handcrafted import HandcraftedEncoder
from insignia.spatial.features.precomputed import feature_coverage, precomputed
from insignia.spatial.features.scaling import zscore_within_section
from insignia.spatial.features.verb import features

__all__ = [
    "FeatureCache",
    "HandcraftedEncoder",
    "ImageEncoder",
    "clear_feature_cache",
    "feature_coverage",
    "features",
    "find_encoder",
    "image_encoders",
    "precomputed",
    "zscore_within_section",
]
