"""Read pickles, and torch files around them, without running or importing anything that they name.

Every class and function that a pickle names becomes an inert `StandIn`; tensors and arrays are rebuilt from theirs
afterwards. Torch files are in the format of ``torch.save`` since 1.6: a zip archive of a pickle, protocol 2, and one
uncompressed entry a storage.
"""

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any, Final

import torch

from insignia.core.errors import ModelFormatError, UnsafeCheckpoint
from insignia.models.pickle_opcodes import check_opcodes
from insignia.models.stand_ins import PlainDict, Storage, stand_in_class

__all__ = ["check_torch_file", "read_pickle", "read_torch_archive"]

STORAGES: Final = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_BARE_PICKLES: Final = 5

DICTS: Final = ("collections.OrderedDict", "collections.defaultdict")


class _Reader(pickle.Unpickler):
    """An unpickler that finds nothing but stand-ins."""

    def __init__(self, content: bytes, archive: "_Archive | None") -> None:
        super().__init__(io.BytesIO(content))
        self._archive = archive
        self._known: dict[str, type] = dict.fromkeys(DICTS, PlainDict)

    def find_class(self, module: str, name: str) -> type:
        """Return the stand-in of a name; nothing is imported."""
        named = f"{module}.{name}"
        return self._known.setdefault(named, stand_in_class(named))

    def persistent_load(self, pid: Any) -> Storage:
        """Return the storage that torch refers to as ``("storage", type, key, location, length)``."""
        if self._archive is None:
            raise pickle.UnpicklingError("a reference to a storage outside a torch file")
        kind, storage, key, _, length = pid
        dtype = STORAGES.get(storage.named.rpartition(".")[2])
        if kind != "storage" or dtype is None:
            raise pickle.UnpicklingError(f"a reference to {kind!r} of {storage.named!r}")
        return self._archive.storage(str(key), dtype, int(length))


class _Archive:
    """The zip archive of a torch file; its entries are not compressed, and none is larger than the file."""

    def __init__(self, file: zipfile.ZipFile, size: int) -> None:
        self._file, self._size = file, size
        pickles = [name for name in file.namelist() if name.endswith("data.pkl") and name.count("/") <= 1]
        if len(pickles) != 1:
            raise pickle.UnpicklingError(f"{len(pickles)} entries named data.pkl, expected one")
        self._prefix = pickles[0].removesuffix("data.pkl")
        self._storages: dict[str, Storage] = {}
        if f"{self._prefix}byteorder" in file.namelist() and self.entry("byteorder") != b"little":
            raise pickle.UnpicklingError("numbers in big-endian order")

    def entry(self, name: str) -> bytes:
        """Read an entry; `zipfile` checks its checksum."""
        info = self._file.getinfo(self._prefix + name)
        if info.compress_type != zipfile.ZIP_STORED or info.file_size > self._size:
            raise zipfile.BadZipFile(f"the entry {name!r} is compressed or larger than the file")
        return self._file.read(info)

    def storage(self, key: str, dtype: torch.dtype, length: int) -> Storage:
        """Read a storage of `length` numbers, once."""
        if key not in self._storages:
            content = bytearray(self.entry(f"data/{key}"))
            if len(content) != length * dtype.itemsize:
                raise pickle.UnpicklingError(f"a storage of {length} {dtype} numbers in {len(content)} bytes")
            values = torch.frombuffer(content, dtype=dtype) if content else torch.empty(0, dtype=dtype)
            self._storages[key] = Storage(values)
        storage = self._storages[key]
        if storage.values.dtype != dtype or len(storage.values) != length:
            raise pickle.UnpicklingError(f"the storage {key!r} is referred to in two ways")
        return storage


def check_torch_file(path: Path) -> None:
    """Refuse a torch file whose pickles would exhaust memory or the interpreter, whoever reads them.

    Raises
    ------
    ModelFormatError
        With the cause.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as opened:
                check_opcodes(_Archive(opened, path.stat().st_size).entry("data.pkl"))
            return
        # before 1.6: magic number, version, system, content and keys of storages, and then the numbers
        with path.open("rb") as file:
            for _ in range(_BARE_PICKLES):
                check_opcodes(file)
    except Exception as error:
        raise _damaged(path, "torch file", error) from error


def read_pickle(path: Path) -> Any:
    """Read a pickle; classes and functions become `StandIn`.

    Raises
    ------
    ModelFormatError
        The file is damaged or not a pickle of protocol 2 to 4.
    """
    try:
        return _load(path.read_bytes(), None)
    except Exception as error:
        raise _damaged(path, "pickle", error) from error


def read_torch_archive(path: Path) -> Any:
    """Read what ``torch.save`` wrote; tensors, arrays, classes and functions become `StandIn`.

    Raises
    ------
    ModelFormatError
        The file is damaged.
    UnsafeCheckpoint
        It is a bare pickle, the layout of torch before 1.6.
    """
    with path.open("rb") as file:
        if file.read(1) == b"\x80":
            raise UnsafeCheckpoint(
                f"{path} is a bare pickle, as torch wrote before 1.6, and not an archive with tensors of its own."
            )
    try:
        with zipfile.ZipFile(path) as opened:
            archive = _Archive(opened, path.stat().st_size)
            return _load(archive.entry("data.pkl"), archive)
    except Exception as error:
        raise _damaged(path, "torch file", error) from error


def _load(content: bytes, archive: _Archive | None) -> Any:
    check_opcodes(content)
    return _Reader(content, archive).load()


def _damaged(path: Path, kind: str, error: Exception) -> ModelFormatError:
    cause = ascii(str(error))[1:201]
    return ModelFormatError(f"{path} is not a readable {kind} ({type(error).__name__}: {cause}). Copy it again.")
