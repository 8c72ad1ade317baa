"""A look as a drawing: its layers, and what there is to say of it."""

from __future__ import annotations

from collections.abc import Mapping

from pickcell.cell import CellConfig
from pickcell.values import Sku
from pickcell.view.layers import layers_of
from pickcell.view.look import Look
from pickcell.view.marks import Drawing, Layer
from pickcell.view.words import items_table, summary


def draw(cell: CellConfig, look: Look, catalogue: Mapping[str, Sku], more: tuple[Layer, ...] = ()) -> Drawing:
    """All layers of a look, and ``more`` of them. It is looked at from over the source tote, whether anything lies in it
    or not."""
    scene = look.outcome.value
    table = items_table(scene.instances if scene else (), catalogue)
    focus = cell.X_base_tote("source")[:3, 3]
    return Drawing((*layers_of(cell, look), *more), summary(look), table, focus)
