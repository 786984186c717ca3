"""The errors a user can meet: each message says what was found, where, and what to do.

The command line prints them as one line, the window shows them as a notification; neither shows a traceback.
"""


class RemidiError(Exception):
    """Anything a user can put right."""


class InputError(RemidiError, ValueError):
    """An input that cannot be used as it is."""


class ScanError(InputError):
    """A scan that cannot be read, or a voxel that holds no usable signal."""


class ProtocolError(InputError):
    """Gradients that contradict themselves or the image."""


class TimingError(ProtocolError):
    """Pulse duration or separation missing, contradictory, or in the wrong unit."""


class MeshError(InputError):
    """A surface or tetrahedral mesh that no simulation can trust."""


class PriorError(InputError):
    """A shape prior that does not exist or does not fit the request."""


class OutOfMemory(RemidiError, MemoryError):
    """The device ran out of memory."""


class OutputError(RemidiError, OSError):
    """A result that could not be written."""


class Cancelled(RemidiError):
    """A run stopped at the user's request."""
