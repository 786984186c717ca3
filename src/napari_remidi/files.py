"""Writing files: complete or absent, never half."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from napari_remidi.errors import OutputError


def write_whole(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Write a file beside its place and move it there when complete; OutputError where that fails."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = Path(file.name)
            write(file)
        temporary.chmod(0o644)
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        reason = error.strerror or str(error)
        raise OutputError(f"{path} could not be written ({reason}): choose another folder or free some space") from None
    except BaseException:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise
