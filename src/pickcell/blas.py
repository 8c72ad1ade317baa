"""One thread for the matrix library.

numpy's OpenBLAS starts a thread per core even for a (50,000, 3) times (3, 3) product, and lets them spin while they
wait. On a cell computer whose cores are busy with other nodes that triples the time of a look. The environment variable
``OPENBLAS_NUM_THREADS`` only counts before numpy is first imported, which a library cannot see to; so the setting is made
in the library that is loaded.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

_SETTERS = (
    "scipy_openblas_set_num_threads64_",
    "scipy_openblas_set_num_threads",
    "openblas_set_num_threads64_",
    "openblas_set_num_threads",
)
_MAPS = Path("/proc/self/maps")


def limit_blas_threads(threads: int = 1) -> int:
    """Let every loaded OpenBLAS use ``threads`` threads from now on, in the whole process. Returns how many libraries
    were found: 0 where there are none, or where the system does not tell what is loaded."""
    if threads < 1:
        raise ValueError(f"at least one thread is needed, got {threads}")
    return sum(_set(path, threads) for path in _loaded_libraries("openblas"))


def _loaded_libraries(name: str) -> list[str]:
    try:
        lines = _MAPS.read_text().splitlines()
    except OSError:
        return []
    paths = {line.split(maxsplit=5)[-1] for line in lines if name in line}
    return sorted(path for path in paths if path.startswith("/") and ".so" in path)


def _set(path: str, threads: int) -> bool:
    try:
        library = ctypes.CDLL(path)
    except OSError:
        return False
    for symbol in _SETTERS:
        setter = getattr(library, symbol, None)
        if setter is not None:
            setter(ctypes.c_int(threads))
            return True
    return False
