"""Files that a table or a manifest names, which must lie in the folder that holds it."""

from pathlib import Path, PurePosixPath, PureWindowsPath

from insignia.core.errors import FileFormatError

__all__ = ["named_file"]


def named_file(folder: Path, name: str, manifest: str) -> Path:
    """Return the path of a file in a folder, whether it is there or not.

    Parameters
    ----------
    folder
        The folder that was opened.
    name
        What is named, with slashes.
    manifest
        The file that names it, for messages.

    Raises
    ------
    FileFormatError
        The name leads out of the folder: a folder from a stranger must not choose what is read elsewhere.
    """
    parts = PurePosixPath(name).parts
    leaves = ".." in parts or PurePosixPath(name).is_absolute() or PureWindowsPath(name).drive
    if not parts or leaves or not name.isprintable():
        raise FileFormatError(
            f"{folder / manifest} names the file {ascii(name)[:80]}, and only files in its own folder are read. "
            "Put the file there, and name it without a path that leads out."
        )
    return folder / name
