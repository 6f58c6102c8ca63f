"""Every exception and warning of insignia.

The family tree::

    InsigniaError
    ├── InputError (ValueError)            the caller's data or arguments; exit code 2
    │   ├── GeneMatchError                 genes of the data and of the model or atlas do not meet
    │   ├── OrganismMismatch               human genes asked of mouse data, or the reverse
    │   ├── InputSpaceError                values are neither counts nor log1p, or not the kind a model needs
    │   ├── DuplicateNames                 names that must be unique are not
    │   ├── MissingMetadata (KeyError)     a needed obs, var, layers or uns entry is absent
    │   ├── SignatureError                 a signature is empty, degenerate, malformed or unknown
    │   ├── FilterError                    a `where` expression is not a valid selection
    │   └── FileFormatError                a file is not what its name says, or is damaged
    ├── ModelError (ValueError)            a model directory, a method or a target; exit code 3
    │   ├── ModelFormatError               a checkpoint lacks a file or a tensor, or shapes disagree
    │   ├── UnsafeCheckpoint               a checkpoint needs code to be run, which is refused
    │   └── DegenerateTarget               the target's gradient vanishes by construction
    ├── AtlasError (ValueError)            an atlas on disk; exit code 4
    │   ├── AtlasBusy                      another process is changing the atlas
    │   ├── AtlasMismatch                  attributions of another model, method or gene table
    │   ├── AtlasDamaged                   a manifest or a segment does not hold what it says
    │   └── DuplicateStudy                 the study is already in the atlas
    ├── UnknownName (KeyError)             a name that no registry entry has
    └── MissingDependency (ImportError)    an optional package is not installed
    InsigniaWarning (UserWarning)
    ├── CompletenessWarning                attributions do not add up to the change of the score
    ├── CoverageWarning                    few of the genes asked for are there
    ├── DeprecatedName (FutureWarning)     a name that goes away in a version to come
    ├── InputSpaceWarning                  counts were scaled to another total than a model reads
    ├── LeftOutWarning                     something that was not asked for by name could not be done
    └── RegistrationWarning                a section could not be brought to its neighbours
"""

__all__ = [
    "AtlasBusy",
    "AtlasDamaged",
    "AtlasError",
    "AtlasMismatch",
    "CompletenessWarning",
    "CoverageWarning",
    "DegenerateTarget",
    "DeprecatedName",
    "DuplicateNames",
    "DuplicateStudy",
    "FileFormatError",
    "FilterError",
    "GeneMatchError",
    "InputError",
    "InputSpaceError",
    "InputSpaceWarning",
    "InsigniaError",
    "InsigniaWarning",
    "LeftOutWarning",
    "MissingDependency",
    "MissingMetadata",
    "ModelError",
    "ModelFormatError",
    "OrganismMismatch",
    "RegistrationWarning",
    "SignatureError",
    "UnknownName",
    "UnsafeCheckpoint",
]


class InsigniaError(Exception):
    """Root of all errors that insignia raises; the message says what was expected, found, and what to do."""

    exit_code = 1

    def __str__(self) -> str:
        # KeyError would print the repr of its argument
        return str(self.args[0]) if self.args else ""


class InputError(InsigniaError, ValueError):
    """The caller's data or arguments cannot be used."""

    exit_code = 2


class GeneMatchError(InputError):
    """The genes of the data do not meet those of the model, atlas or signature."""


class OrganismMismatch(InputError):
    """The genes belong to another organism."""


class InputSpaceError(InputError):
    """The values are neither counts nor log1p, or not of the kind that a model needs."""


class DuplicateNames(InputError):
    """Names that must be unique are not."""


class MissingMetadata(InputError, KeyError):
    """A needed entry of obs, var, layers or uns is absent."""


class SignatureError(InputError):
    """A signature is empty, degenerate, malformed or unknown."""


class FilterError(InputError):
    """A `where` expression is not a valid selection over the metadata."""


class FileFormatError(InputError):
    """A file is not what its name says, or is damaged."""


class ModelError(InsigniaError, ValueError):
    """A model, method or target cannot be used as asked."""

    exit_code = 3


class ModelFormatError(ModelError):
    """A checkpoint lacks a file or a tensor, or its shapes disagree."""


class UnsafeCheckpoint(ModelError):
    """Reading the checkpoint would run code from it, which insignia never does."""


class DegenerateTarget(ModelError):
    """The gradient of the target vanishes by construction, so its attribution would be rounding noise."""


class AtlasError(InsigniaError, ValueError):
    """An atlas on disk cannot be used as asked."""

    exit_code = 4


class AtlasBusy(AtlasError):
    """Another process is changing the atlas."""


class AtlasMismatch(AtlasError):
    """The attributions come from another model, method, target or gene table than the atlas holds."""


class AtlasDamaged(AtlasError):
    """A manifest or a segment does not hold what it says."""


class DuplicateStudy(AtlasError):
    """The study is already in the atlas."""


class UnknownName(InsigniaError, KeyError):
    """No registry entry has this name."""

    exit_code = 2


class MissingDependency(InsigniaError, ImportError):
    """An optional package is not installed."""

    exit_code = 2


class InsigniaWarning(UserWarning):
    """Root of all warnings that insignia gives."""


class CompletenessWarning(InsigniaWarning):
    """Attributions do not add up to the change of the score they explain."""


class CoverageWarning(InsigniaWarning):
    """Few of the genes asked for are there."""


class DeprecatedName(InsigniaWarning, FutureWarning):
    """A name that goes away in a version to come."""


class InputSpaceWarning(InsigniaWarning):
    """Counts were scaled to another total than a model reads, before the logarithm."""


class LeftOutWarning(InsigniaWarning):
    """Something that was not asked for by name could not be done, and was left out."""


class RegistrationWarning(InsigniaWarning):
    """A section could not be brought to its neighbours, or one brought there should be looked at."""
