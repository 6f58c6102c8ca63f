"""What the server answers when something is wrong."""

from pydantic import BaseModel, Field

__all__ = [
    "Problem",
]


class Problem(BaseModel):
    """What went wrong (RFC 9457): `detail` says what was expected, what was found, and what to do."""

    type: str
    title: str
    status: int
    detail: str
    code: str = Field(description="Name of the error in insignia.")
