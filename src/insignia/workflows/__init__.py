"""What joins the parts: files to attributed files, one or many, raw cells to atlases, and the demo."""

import insignia.workflows.demo
import insignia.workflows.perturb_demo
import insignia.workflows.spatial_demo
import insignia.workflows.story_demo  # noqa: F401 - all register
from insignia.workflows.atlases import add_cells, create_atlas
from insignia.workflows.attribute_effects import attribute_effects
from insignia.workflows.attribute_file import attribute_file
from insignia.workflows.contrast_record import AttributedEffects
from insignia.workflows.imports import import_census, import_published
from insignia.workflows.ms1 import Ms1Answer, Ms1Options, ms1
from insignia.workflows.registry import Demo, demos
from insignia.workflows.shard_estimate import Estimate, estimate_attribution
from insignia.workflows.shard_plan import parse_shard
from insignia.workflows.shard_run import ShardPart
from insignia.workflows.shards import ShardReport, attribute_shard, attribute_shards
from insignia.workflows.spatial_stack import impute_stack, prepare_stack

__all__ = [
    "AttributedEffects",
    "Demo",
    "Estimate",
    "Ms1Answer",
    "Ms1Options",
    "ShardPart",
    "ShardReport",
    "add_cells",
    "attribute_effects",
    "attribute_file",
    "attribute_shard",
    "attribute_shards",
    "create_atlas",
    "demos",
    "estimate_attribution",
    "import_census",
    "import_published",
    "impute_stack",
    "ms1",
    "parse_shard",
    "prepare_stack",
]
