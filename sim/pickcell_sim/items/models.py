"""Items that are more than one rigid body: which module builds which structure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pickcell_sim.items.book import book_description, build_book
from pickcell_sim.items.loose import bag_description, build_bag
from pickcell_sim.items.plush import build_plush, plush_description
from pickcell_sim.items.sheet_model import build_sheet, sheet_description
from pickcell_sim.items.spec import ItemSpec
from pickcell_sim.items.urdf import Description

_BUILDERS: dict[str, Callable[[ItemSpec, Path], None]] = {
    "book": build_book,
    "sheet": build_sheet,
    "loose": build_bag,
    "plush": build_plush,
}
_DESCRIPTIONS: dict[str, Callable[[ItemSpec], Description]] = {
    "book": book_description,
    "sheet": sheet_description,
    "loose": bag_description,
    "plush": plush_description,
}


def build(spec: ItemSpec, folder: Path) -> None:
    """Write ``model.urdf`` with meshes and textures of a structured item into ``folder``. Raises ValueError for others."""
    _known(spec)
    _BUILDERS[spec.structure](spec, folder)


def describe(spec: ItemSpec) -> Description:
    """Links and hinges of a structured item, without looks. Raises ValueError for others."""
    _known(spec)
    return _DESCRIPTIONS[spec.structure](spec)


def _known(spec: ItemSpec) -> None:
    if spec.structure not in _BUILDERS:
        raise ValueError(f"{spec.sku} is {spec.structure}; models build {', '.join(_BUILDERS)}")
