"""Every error that the project raises on purpose.

    Clip2ProtectError
    ├── ConfigError         an option has a value that cannot be used
    ├── ImageError          the input is no photo that can be read
    ├── NoFaceError         the photo shows no face that can be aligned
    │   ├── NotMineError    it shows faces, and none is the owner's
    │   └── CrowdError      it shows several, where one was wanted
    ├── OutputError         the result cannot be written
    └── ModelError          a network cannot be had or used
        ├── DownloadError   its carrier cannot be fetched
        ├── IntegrityError  the bytes are not the published ones
        ├── FormatError     a tensor is missing, left over or of another shape
        └── EngineError     an exported network cannot be made or used here
            └── GradientError   a job needs gradients, and its network's runtime gives none

The message is one line: what happened and what to do.  It never holds pixels.
"""

from __future__ import annotations


class Clip2ProtectError(Exception):
    """Base of the tree: catch it to catch every error that the project raises on purpose."""


class ConfigError(Clip2ProtectError):
    """An option has a value that cannot be used."""


class ImageError(Clip2ProtectError):
    """The input is no photo that can be read."""


class NoFaceError(Clip2ProtectError):
    """The photo shows no face that can be aligned."""


class NotMineError(NoFaceError):
    """The photo shows faces, and none of them is the owner's."""


class CrowdError(NoFaceError):
    """The photo shows several faces where one was wanted."""


class OutputError(Clip2ProtectError):
    """The result cannot be written."""


class ModelError(Clip2ProtectError):
    """A network cannot be had or used."""


class DownloadError(ModelError):
    """The package or file that carries a network cannot be fetched."""


class IntegrityError(ModelError):
    """A fetched or cached file does not have the published sha256."""


class FormatError(ModelError):
    """A weight file holds a tensor too many, too few, or of another shape."""


class EngineError(ModelError):
    """An exported network cannot be made or used on this machine."""


class GradientError(EngineError):
    """A job needs gradients, and its network's runtime gives none."""
