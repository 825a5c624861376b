"""Libraries that several tests want, built once for all of them."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from weft.export import export_device
from weft.isa import Config

FOLDER = TemporaryDirectory(prefix="weft-test-")
STRICT = "gcc -Wall -Wextra -Werror"


@cache
def device_library(config: Config, *forms: str) -> Path:
    """The functional device, of these forms or of all that this machine's architecture has."""
    path = Path(FOLDER.name) / f"{config.fingerprint}-{'-'.join(forms)}.so"
    export_device(path, config, forms, cc=STRICT)
    return path
