"""What joins the parts: files to attributed files, raw cells to atlases, and the demo."""

import insignia.workflows.demo  # noqa: F401 - registers
from insignia.workflows.atlases import add_cells, create_atlas
from insignia.workflows.attribute_file import attribute_file
from insignia.workflows.registry import Demo, demos

__all__ = ["Demo", "add_cells", "attribute_file", "create_atlas", "demos"]
