"""What registration found, section by section."""

import pandas as pd

from insignia.data import SectionStack

__all__ = ["registration_table"]


def registration_table(stack: SectionStack) -> pd.DataFrame:
    """List status and quality of every section's pose.

    Returns
    -------
    Indexed by section: ``z_um``, ``status``, ``stage``, the quality figures of `insignia.spatial.register`, NaN where
    a figure does not apply, and ``note``, which says why a section failed.
    """
    rows = {
        section.name: {
            "z_um": section.z_um,
            "status": "not registered" if section.pose is None else section.pose.status,
            "stage": "" if section.pose is None else section.pose.stage,
            **({} if section.pose is None else section.pose.quality),
            "note": "" if section.pose is None else section.pose.note,
        }
        for section in stack
    }
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("section")
    return table[[*table.columns.drop("note"), "note"]]
