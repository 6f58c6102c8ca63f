"""Poses as JSON."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from insignia.data.bend import Bend
from insignia.data.sections import Pose
from insignia.data.transform import Transform

__all__ = ["pose_from_record", "pose_record"]


def pose_record(pose: Pose) -> dict[str, Any]:
    """Return a pose as plain values; JSON has no NaN and no infinity, which become texts that `float` reads."""
    return {
        "matrix": pose.transform.matrix.tolist(),
        "bends": [_bend_record(bend) for bend in pose.transform.bends],
        "status": pose.status,
        "stage": pose.stage,
        "quality": {
            name: float(value) if np.isfinite(value) else str(float(value)) for name, value in pose.quality.items()
        },
        "note": pose.note,
    }


def pose_from_record(record: Mapping[str, Any]) -> Pose:
    """Return the pose that `pose_record` was made of."""
    quality = {name: float(value) for name, value in record["quality"].items()}
    matrix = np.array(record["matrix"], dtype=np.float64)
    bends = tuple(_bend_from_record(bend) for bend in record.get("bends", ()))
    note = str(record.get("note", ""))
    return Pose(Transform(matrix, bends), str(record["status"]), str(record["stage"]), quality, note)


def _bend_record(bend: Bend) -> dict[str, Any]:
    return {
        "displacement": np.round(bend.displacement, 3).tolist(),
        "origin_um": list(bend.origin_um),
        "spacing_um": bend.spacing_um,
        "frame": bend.frame.tolist(),
        "is_inverse": bend.is_inverse,
    }


def _bend_from_record(record: Mapping[str, Any]) -> Bend:
    x, y = record["origin_um"]
    return Bend(
        np.array(record["displacement"], dtype=np.float64),
        (float(x), float(y)),
        float(record["spacing_um"]),
        np.array(record["frame"], dtype=np.float64),
        bool(record["is_inverse"]),
    )
