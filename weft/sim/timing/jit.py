"""The compiler of this package's functions: restricted Python to machine code, by numba.

Every function of the model is plain Python over records and arrays, compiled into its caller. With NUMBA_DISABLE_JIT=1 in
the environment nothing is compiled, and a debugger steps through the same source.
"""

import hashlib
import os
from functools import lru_cache
from pathlib import Path

from numba import njit
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator

import weft.isa

# Without numba's run time: it would count, atomically, each use of an array, which is most of what there is to do.
compiled = njit(boundscheck=False, error_model="numpy", nogil=True, forceinline=True, _nrt=False)


@lru_cache
def fingerprint() -> str:
    """A hash of all that the machine code is made of: numba looks at one function's file only, not at what it calls."""
    folders = (Path(__file__).parent, Path(weft.isa.__file__).parent)
    sources = [path.read_bytes() for folder in folders for path in sorted(folder.glob("*.py"))]
    return hashlib.sha256(b"".join(sources)).hexdigest()


class _Locator(_CacheLocator):
    """Machine code stands in $WEFT_CACHE (else ~/.cache/weft), under the fingerprint."""

    def get_cache_path(self) -> str:
        root = Path(os.environ.get("WEFT_CACHE") or Path.home() / ".cache" / "weft")
        return str(root / f"timing-{fingerprint()[:24]}")

    def get_source_stamp(self) -> str:
        return fingerprint()

    def get_disambiguator(self) -> str:
        return ""

    @classmethod
    def from_function(cls, py_func, py_file):
        self = cls()
        try:
            self.ensure_cache_path()
        except OSError:
            return None
        return self


class _Impl(CompileResultCacheImpl):
    _locator_classes = [_Locator]


class _Cache(FunctionCache):
    _impl_class = _Impl


def cached(function):
    """`compiled`, and kept in the cache with all that it calls. Where there is no cache, each process compiles anew."""
    result = compiled(function)
    if result is not function:  # not disabled
        try:
            result._cache = _Cache(function)
        except RuntimeError:  # no place for it
            pass
    return result
