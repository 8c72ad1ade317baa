"""Bodies of the shelf's SKUs: bounding box, mass and inertia as stated, files the same every time, textures small."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pybullet as p
import pytest
from item_probe import collision_extents
from PIL import Image

from pickcell.geometry import make_pose
from pickcell_sim.items import item_spec, lathe, rigid
from pickcell_sim.items.assets import ensure_item
from pickcell_sim.items.lathe import Band, Solid
from pickcell_sim.items.loose import add_contents
from pickcell_sim.items.rigid import COLLISION_THICKNESS_M
from pickcell_sim.items.shelf import SHELF
from pickcell_sim.items.spawn import load_item, outline
from pickcell_sim.items.spec import ItemSpec, all_specs
from pickcell_sim.items.vessels import vessel_of

SHAPES = list({(s.kind, s.form): s.sku for s in all_specs().values() if s.kind in SHELF and not s.variant_of}.values())
"""One SKU of every kind and form."""
MEGABYTE = 2**20


@pytest.fixture
def client() -> Iterator[int]:
    number = p.connect(p.DIRECT)
    yield number
    p.disconnect(physicsClientId=number)


def _check_body(client: int, spec: ItemSpec) -> None:
    """Loads, measures and weighs what its spec says."""
    body = load_item(client, spec.sku, make_pose())
    links = range(-1, p.getNumJoints(body, physicsClientId=client))
    extents = collision_extents(client, body)
    np.testing.assert_allclose(extents, np.maximum(spec.size_m, COLLISION_THICKNESS_M), atol=5e-4, err_msg=spec.sku)
    np.testing.assert_allclose(np.ptp(outline(spec.sku), axis=0), spec.size_m, atol=2e-4, err_msg=spec.sku)
    contents = add_contents(client, spec, body, make_pose()) if spec.structure == "loose" else ()
    dynamics = [p.getDynamicsInfo(body, link, physicsClientId=client) for link in links]
    masses = [info[0] for info in dynamics] + [p.getDynamicsInfo(b, -1, physicsClientId=client)[0] for b in contents]
    assert sum(masses) == pytest.approx(spec.mass_kg, abs=1e-4), spec.sku
    for mass, _, inertia, *_ in dynamics:
        a, b, c = sorted(inertia)
        assert 0 < a and a + b >= 0.999 * c, f"{spec.sku}: no body has moments {inertia}"
        assert c < mass * (np.linalg.norm(spec.size_m) / 2) ** 2, spec.sku


@pytest.mark.parametrize("sku", SHAPES)
def test_a_body_of_every_kind_and_form_measures_and_weighs_what_its_spec_says(client: int, sku: str) -> None:
    _check_body(client, item_spec(sku))


@pytest.mark.slow
def test_every_body_measures_and_weighs_what_its_spec_says(client: int) -> None:
    for spec in all_specs().values():
        if spec.kind in SHELF:
            _check_body(client, spec)
            p.resetSimulation(physicsClientId=client)


@pytest.mark.parametrize(
    "sku", ["shrink-001", "bottle-002", "can-003", "jar-001", "ruler-003", "flat-001", "blister-002", "tube-000"]
)
def test_building_twice_gives_the_same_files(tmp_path: Path, sku: str) -> None:
    contents = []
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        rigid.build(item_spec(sku), folder)
        contents.append({path.name: path.read_bytes() for path in sorted(folder.iterdir())})
    assert contents[0] == contents[1] and {"model.urdf", "model.obj", "model.mtl", "texture.png"} <= set(contents[0])


@pytest.mark.parametrize("sku", SHAPES)
def test_textures_are_small_and_have_rows_that_the_renderer_can_read(sku: str) -> None:
    pictures = list(ensure_item(sku).parent.glob("*.png"))
    sizes = []
    for path in pictures:
        with Image.open(path) as picture:
            assert picture.width * 3 % 4 == 0, "EGL skews pictures whose rows are not a multiple of 4 bytes long"
            sizes.append(3 * picture.width * picture.height)
    assert pictures and sum(sizes) < 2.5 * MEGABYTE


@pytest.mark.parametrize("sku", [s for s in SHAPES if item_spec(s).structure == "rigid"])
def test_faces_of_the_visible_mesh_look_outwards(sku: str) -> None:
    """Each triangle's winding agrees with its normals: a wrong one is invisible from outside."""
    vertices, normals, corners = [], [], []
    for line in (ensure_item(sku).parent / "model.obj").read_text().splitlines():
        key, *values = line.split()
        if key == "v":
            vertices.append([float(v) for v in values])
        elif key == "vn":
            normals.append([float(v) for v in values])
        elif key == "f":
            corners.append([int(v.split("/")[0]) - 1 for v in values])
    triangles, shading = np.asarray(vertices)[corners], np.asarray(normals)[corners].mean(axis=1)
    wound = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    areas = np.linalg.norm(wound, axis=1)
    real = areas > 1e-10
    assert np.all(np.einsum("ij,ij->i", wound[real], shading[real]) > 0)


# -- mass properties ---------------------------------------------------------------------------------------------------
def test_mass_properties_of_a_cylinder_and_a_cone_are_those_of_the_books() -> None:
    r, h = 0.04, 0.13
    centre, moments = lathe.mass_properties(Solid((Band(((r, 0.0), (r, h)), 0),), 0, 0))
    assert centre == pytest.approx(h / 2)
    np.testing.assert_allclose(moments, [r**2 / 4 + h**2 / 12] * 2 + [r**2 / 2], rtol=2e-3)
    centre, moments = lathe.mass_properties(Solid((Band(((r, 0.0), (1e-9, h)), 0),), 0, 0))
    assert centre == pytest.approx(h / 4, rel=2e-3)
    np.testing.assert_allclose(moments, [3 * r**2 / 20 + 3 * h**2 / 80] * 2 + [3 * r**2 / 10], rtol=6e-3)


def test_bottles_stand_low_and_blister_cards_weigh_on_one_side() -> None:
    for spec in all_specs().values():
        low, high = outline(spec.sku).min(axis=0), outline(spec.sku).max(axis=0)
        if spec.kind == "bottle":
            assert -low[2] < 0.495 * spec.size_m[2], f"{spec.sku}: the neck weighs less than the body"
            assert vessel_of(spec).solid.profile[:, 0].max() == pytest.approx(spec.size_m[0] / 2)
        elif spec.kind == "blister":
            off = (low + high)[:2] / 2
            assert np.linalg.norm(off) > 0.03 * spec.size_m[0], f"{spec.sku}: its dome is not in the middle"
            left, top, right, bottom = rigid.dome_box(spec)
            assert 0 < left < right < 1 and 0.2 < top < bottom < 1
