"""Mend the ROS wheels' CMake files, which name include folders of the machine that built them.

Each exported target lists ``/opt/python/.../include/python3.11`` and that machine's numpy headers; CMake refuses
include folders that do not exist. Both are rewritten to this interpreter's. Running it again changes nothing.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

_PYTHON_INCLUDE = re.compile(r"/opt/python/[^;\"\s]*?/include/python3\.\d+")
_NUMPY_INCLUDE = re.compile(r"/opt/python/[^;\"\s]*?/numpy/(?:_core|core)/include")


def patch_text(text: str, python_include: str, numpy_include: str) -> str:
    """Return ``text`` with the build machine's include folders replaced."""
    text = _NUMPY_INCLUDE.sub(lambda _: numpy_include, text)
    return _PYTHON_INCLUDE.sub(lambda _: python_include, text)


def cmake_files(prefix: Path) -> list[Path]:
    """The wheels' CMake files below ``prefix``."""
    return sorted(prefix.glob("share/*/cmake/*.cmake"))


def unpatched(prefix: Path) -> list[Path]:
    """CMake files that still name the build machine."""
    return [p for p in cmake_files(prefix) if b"/opt/python/" in p.read_bytes()]


def include_folders(python: Path) -> tuple[str, str]:
    """Include folders of ``python`` and of its numpy."""
    code = "import json, sysconfig, numpy; print(json.dumps([sysconfig.get_path('include'), numpy.get_include()]))"
    result = subprocess.run([str(python), "-c", code], check=True, capture_output=True, text=True)
    python_include, numpy_include = json.loads(result.stdout)
    return str(python_include), str(numpy_include)


def apply_patch(prefix: Path, python: Path) -> int:
    """Rewrite what needs it; return how many files changed."""
    todo = unpatched(prefix)
    if not todo:
        return 0
    python_include, numpy_include = include_folders(python)
    changed = 0
    for path in todo:
        before = path.read_text(encoding="utf-8")
        after = patch_text(before, python_include, numpy_include)
        if after != before:
            replacement = path.with_suffix(".cmake.part")
            replacement.write_text(after, encoding="utf-8")
            replacement.replace(path)
            changed += 1
    return changed
