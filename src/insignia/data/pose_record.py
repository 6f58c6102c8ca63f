"""Poses as JSON."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from insignia.data.sections import Pose
from insignia.data.transform import Transform

__all__ = ["pose_from_record", "pose_record"]


def pose_record(pose: Pose) -> dict[str, Any]:
    """Return a pose as plain values; JSON has no NaN and no infinity, which become texts that `float` reads."""
    return {
        "matrix": pose.transform.matrix.tolist(),
        "status": pose.status,
        "stage": pose.stage,
        "quality": {
            name: float(value) if np.isfinite(value) else str(float(value)) for name, value in pose.quality.items()
        },
    }


def pose_from_record(record: Mapping[str, Any]) -> Pose:
    """Return the pose that `pose_record` was made of."""
    quality = {name: float(value) for name, value in record["quality"].items()}
    matrix = np.array(record["matrix"], dtype=np.float64)
    return Pose(Transform(matrix), str(record["status"]), str(record["stage"]), quality)
