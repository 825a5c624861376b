"""The command `weft`: every command that reports takes --json; an exit status other than 0 means failed or refused.

A command is a function in one of this room's files, entered into `app` of common.py; the order of import is that of `--help`.
"""

import sys

from weft.isa import WeftError

from . import networks, running, libraries, pictures, bench, programs, machine  # noqa: F401, I001: they enter their commands, in this order
from .common import app, err


def main():
    """Entry point: what weft refuses is one message and status 1, never a traceback."""
    try:
        app()
    except WeftError as error:
        err.print("weft: refused:", style="red", end=" ")
        err.print(f"{error.subject}: {error.rule}, but found {error.found}\ntry: {error.hint}", highlight=False, soft_wrap=True, markup=False)
        sys.exit(1)
    except OSError as error:
        err.print(f"weft: {error}", highlight=False, soft_wrap=True, markup=False)
        sys.exit(1)
