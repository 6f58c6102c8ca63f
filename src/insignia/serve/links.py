"""Reading the address of a view."""

from urllib.parse import parse_qs, urlsplit

from pydantic import ValidationError

from insignia.core.errors import InputError
from insignia.serve.question import Question

__all__ = ["question_of"]

_LISTS = ("filter", "reference")


def question_of(link: str) -> Question:
    """Read the search that a link asks for; what only arranges the page is left aside.

    Raises
    ------
    InputError
        It names no signature and no genes, or a value is not what it must be.
    """
    parts = urlsplit(link)
    query = parse_qs(parts.query or ("" if parts.scheme else link.lstrip("?")))
    fields = {
        name: values if name in _LISTS else values[-1]
        for name, values in query.items()
        if name in Question.model_fields
    }
    if not {"signature", "genes"} & fields.keys():
        raise InputError(
            f"The link asks for no search: {link[:120]!r}. Copy it from the explorer, or write "
            "'signature=MS1&filter=tissue:blood'."
        )
    try:
        return Question.model_validate(fields)
    except ValidationError as error:
        said = "; ".join(f"{one['loc'][0]}: {one['msg']}" for one in error.errors()[:5])
        raise InputError(f"The link cannot be read: {said}.") from error
