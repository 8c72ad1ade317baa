"""Meshes, textures and URDFs of the items, built on demand into a cache directory. The same seed gives the same files."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import PIL
import trimesh
from PIL import Image

from pickcell_sim.items import faces, models, rigid
from pickcell_sim.items.irregular import irregular_spec, load_blob
from pickcell_sim.items.mesh import BOX_FACES, Atlas, ObjBuilder, add_box, add_convex_parts, add_cylinder, face_size, pack
from pickcell_sim.items.rigid import COLLISION_MARGIN_M, COLLISION_THICKNESS_M
from pickcell_sim.items.shelf import SHELF
from pickcell_sim.items.spec import REPOSITORY, ItemSpec, all_specs

_GENERATORS = (
    "assets", "barcode", "faces", "irregular", "mesh", "spec", "assortment", "shelf", "words", "facts", "canvas", "motifs",
    "packs", "covers", "films", "surfaces", "prints", "lathe", "vessels", "rigid",
    "models", "book", "sheet_model", "loose", "plush", "link_mesh", "urdf", "urdf", "link_mesh",
)  # fmt: skip


@cache
def item_spec(sku: str) -> ItemSpec:
    """The build recipe of a SKU. Raises KeyError naming the kinds for one that cannot be built."""
    specs = all_specs()
    if sku in specs:
        return specs[sku]
    prefix, _, number = sku.partition("-")
    if prefix == "irregular" and len(number) == 3 and number.isdigit():
        return irregular_spec(int(number))
    raise KeyError(f"no recipe for '{sku}'; there are irregular-000..999 and {', '.join(_ranges(list(specs)))}")


@cache
def fingerprint() -> str:
    """Names the state of the code that draws the items: a change of it never meets files of another."""
    digest = hashlib.sha256(PIL.__version__.encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if path.stem in _GENERATORS:
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def cache_root() -> Path:
    """Where built items live: below ``$PICKCELL_ITEM_CACHE``, else below ``var/items`` of the repository."""
    return Path(os.environ.get("PICKCELL_ITEM_CACHE", REPOSITORY / "var" / "items")) / fingerprint()


def ensure_item(sku: str) -> Path:
    """URDF of a SKU, built now unless the cache has it. Safe when several processes ask for the same SKU at once."""
    spec = item_spec(sku)
    folder = cache_root() / sku
    urdf = folder / "model.urdf"
    if urdf.exists():
        return urdf
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{sku}-", dir=folder.parent))
    try:
        _build(spec, work)
        os.chmod(work, 0o755)
        try:
            work.rename(folder)
        except OSError:  # another process was faster: its files are the same
            if not urdf.exists():
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return urdf


def _build(spec: ItemSpec, folder: Path) -> None:
    """Write mesh, material, texture and URDF of one item into ``folder``."""
    if spec.structure != "rigid":
        models.build(spec, folder)
        return
    if spec.kind in SHELF:
        rigid.build(spec, folder)
        return
    builder = ObjBuilder()
    rgb = (1.0, 1.0, 1.0)
    if spec.kind == "irregular":
        blob = load_blob(spec.source, spec.scale)
        add_convex_parts(builder, [(part.triangles, part.face_normals) for part in blob.parts])
        builder.write(folder)
        add_convex_parts(shrunk := ObjBuilder(), [_shrunk(part) for part in blob.parts])
        shrunk.write_geometry(folder / "collision.obj")
        rgb = blob.rgb
        inertia = spec.mass_kg * blob.inertia_unit
        collision = '<mesh filename="collision.obj"/>'
    elif spec.kind == "cylinder":
        atlas = _cylinder_atlas(spec)
        add_cylinder(builder, spec.size_m, atlas)
        builder.write(folder, texture=atlas.image)
        inertia = _cylinder_inertia(spec)
        radius, length = spec.size_m[0] / 2 - COLLISION_MARGIN_M, spec.size_m[2] - 2 * COLLISION_MARGIN_M
        collision = f'<cylinder radius="{radius:.5f}" length="{length:.5f}"/>'
    else:
        atlas = _box_atlas(spec)
        add_box(builder, spec.size_m, atlas)
        builder.write(folder, texture=atlas.image)
        x, y, z = spec.size_m
        z = max(z, COLLISION_THICKNESS_M)
        inertia = spec.mass_kg / 12.0 * np.array([y * y + z * z, x * x + z * z, x * x + y * y])
        collision = f'<box size="{x:.5f} {y:.5f} {z:.5f}"/>'
    (folder / "model.urdf").write_text(_urdf(spec, inertia, collision, rgb))


def _shrunk(part: trimesh.Trimesh) -> tuple[np.ndarray, np.ndarray]:
    """Triangles (T, 3, 3) and normals of a convex part that is smaller by the collision margin on each side."""
    low, high = part.bounds
    center, extents = (low + high) / 2.0, high - low
    scale = np.maximum(0.5, 1.0 - 2.0 * COLLISION_MARGIN_M / extents)
    return (part.triangles - center) * scale + center, part.face_normals


def _cylinder_inertia(spec: ItemSpec) -> np.ndarray:
    radius, height = 0.5 * spec.size_m[0], spec.size_m[2]
    across = spec.mass_kg * (3.0 * radius**2 + height**2) / 12.0
    return np.array([across, across, 0.5 * spec.mass_kg * radius**2])


def _box_atlas(spec: ItemSpec) -> Atlas:
    """Six printed faces; the two largest are front and back."""
    art = faces.artwork(spec)
    sizes = [face_size(spec.size_m, normal, up) for normal, up in BOX_FACES]
    largest = int(np.argmax([w * h for w, h in sizes])) // 2
    pictures = []
    for k, (width, height) in enumerate(sizes):
        upright = height <= width * 1.6  # print lies along a tall face, so that its text keeps a readable size
        pixels = faces.face_pixels(width, height)
        size = pixels if upright else (pixels[1], pixels[0])
        if k // 2 == largest:
            picture = faces.front(art, size) if k % 2 == 0 else faces.back(art, size)
        else:
            picture = faces.side(art, size, k)
        pictures.append(picture if upright else picture.transpose(Image.Transpose.ROTATE_90))
    return pack(pictures)


def _cylinder_atlas(spec: ItemSpec) -> Atlas:
    art = faces.artwork(spec)
    around = faces.face_pixels(np.pi * spec.size_m[0], spec.size_m[2])
    end = faces.face_pixels(spec.size_m[0], spec.size_m[0])
    return pack(
        [faces.wrap(art, around), faces.lid(art, end, True, spec.shiny), faces.lid(art, end, False, spec.shiny)]
    )  # fmt: skip


def _urdf(spec: ItemSpec, inertia: np.ndarray, collision: str, rgb: tuple[float, float, float]) -> str:
    color = "{:.3f} {:.3f} {:.3f} 1".format(*rgb)
    ixx, iyy, izz = (f"{v:.4e}" for v in inertia)
    return f"""<?xml version="1.0"?>
<robot name="{spec.sku}">
  <link name="item">
    <inertial>
      <mass value="{spec.mass_kg:.4f}"/>
      <inertia ixx="{ixx}" iyy="{iyy}" izz="{izz}" ixy="0" ixz="0" iyz="0"/>
    </inertial>
    <visual>
      <geometry><mesh filename="model.obj"/></geometry>
      <material name="print"><color rgba="{color}"/></material>
    </visual>
    <collision><geometry>{collision}</geometry></collision>
  </link>
</robot>
"""


def _ranges(skus: list[str]) -> list[str]:
    prefixes = sorted({sku.rpartition("-")[0] for sku in skus})
    return [f"{k}-000..{max(s for s in skus if s.startswith(k)).rpartition('-')[2]}" for k in prefixes]
