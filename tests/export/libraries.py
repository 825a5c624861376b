"""Libraries that several tests want, built once for all of them."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from weft.export.functional import write_device
from weft.export.linker import host_architecture
from weft.isa import Config
from weft.llvm import machine

FOLDER = TemporaryDirectory(prefix="weft-test-")
STRICT = "gcc -Wall -Wextra -Werror"


@cache
def device_library(config: Config, *forms: str) -> Path:
    """The functional device, of these forms or of all that this machine's architecture has."""
    path = Path(FOLDER.name) / f"{config.fingerprint}-{'-'.join(forms)}.so"
    write_device(path, config, [form for form in machine.forms_of(host_architecture()) if not forms or form.name in forms], STRICT)
    return path
