"""Text files from elsewhere: read, or refused by name, whatever is in them."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from insignia.core.errors import FileFormatError, InsigniaError

__all__ = ["text_file", "unpacked_file"]

_FAR: Final = 2**28
_RATIO: Final = 200


@contextmanager
def text_file(path: str | Path, *, encoding: str = "utf-8") -> Iterator[IO[str]]:
    """Open a text, gzipped where its name ends in .gz; what the body stumbles over becomes an error that names it.

    Raises
    ------
    FileFormatError
        There is no such file; it is not text of this encoding; it is cut short or not gzipped; it unpacks to 200 times
        its size, as no text does; a parser of the body finds it malformed.
    """
    path = Path(path)
    with unpacked_file(path) as file:
        try:
            yield io.TextIOWrapper(file, encoding=encoding)
        except UnicodeDecodeError as error:
            raise FileFormatError(
                f"{path.name} is no text in {encoding.upper().removesuffix('-SIG')}: {_first_line(error)}. Save it so."
            ) from error


@contextmanager
def unpacked_file(path: str | Path) -> Iterator[IO[bytes]]:
    """Open the bytes of a text, gzipped where its name ends in .gz; see `text_file`."""
    path = Path(path)
    if not path.is_file():
        raise FileFormatError(f"There is no file {path}.")
    try:
        with io.BufferedReader(_Unpacked(path), 1 << 16) if path.suffix == ".gz" else path.open("rb") as file:
            yield file
    except InsigniaError:
        raise
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FileFormatError(
            f"{path.name} cannot be unpacked: {_first_line(error)}. Is it cut short, or not gzipped? Fetch it again."
        ) from error
    except (ValueError, MemoryError, RecursionError) as error:
        raise FileFormatError(f"{path.name} could not be read: {_first_line(error)}.") from error


class _Unpacked(io.RawIOBase):
    """Bytes of a gzipped file, refused where they are far more than a text would give."""

    def __init__(self, path: Path) -> None:
        self._file = gzip.open(path, "rb")  # noqa: SIM115 - closed by `close`
        self._name, self._size, self._seen = path.name, path.stat().st_size, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        n = self._file.readinto(buffer)
        self._seen += n
        if self._seen > max(_FAR, _RATIO * self._size):
            raise FileFormatError(
                f"{self._name} holds {self._size:,} bytes and unpacks to more than {self._seen - n:,}, as no text "
                "does. If you trust it, unpack it yourself and give that file."
            )
        return n

    def close(self) -> None:
        self._file.close()
        super().close()


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
