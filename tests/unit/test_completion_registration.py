"""Products laid over what was seen of them: boxes and cans that are known, and what must not be forced on an item."""

from __future__ import annotations

import numpy as np
import pytest
import synthetic_cell as synthetic
from hypothesis import given
from hypothesis import strategies as st

from pickcell.completion import Completed, GeometricCompleter
from pickcell.completion.registration import CatalogueRegistrar
from pickcell.completion.solids import Solid, signed_distance, solids_of, surface_points
from pickcell.fusion import FusedScene, Fusion
from pickcell.geometry import make_pose
from pickcell.values import Identity, Sku

CELL = synthetic.cell()
X = CELL.X_base_tote("source")
Seen = tuple[FusedScene, list[Completed]]
BOX = synthetic.Piece("box", "box", (0.12, 0.08, 0.05), X @ make_pose((0.05, 0.08, 0.025), (0, 0, 0.4)), (0.9, 0.3, 0.2))
CAN = synthetic.Piece("can", "cylinder", (0.03, 0.03, 0.09), X @ make_pose((-0.08, -0.12, 0.045)), (0.2, 0.6, 0.9))
SKUS = {
    "box": Sku("box", "a box", "box", np.array([0.12, 0.08, 0.05]), 0.2),
    "can": Sku("can", "a can", "can", np.array([0.09, 0.06, 0.06]), 0.2),
    "large": Sku("large", "a large box", "box", np.array([0.20, 0.15, 0.12]), 0.2),
    "small": Sku("small", "a small box", "box", np.array([0.06, 0.05, 0.03]), 0.2),
    "bag": Sku("bag", "a bag", "polybag", np.array([0.12, 0.08, 0.05]), 0.2),
}


@pytest.fixture(scope="module")
def seen() -> tuple[FusedScene, list[Completed]]:
    """The box and the can, in this order; of the box only what is higher than 3 cm, as if the rest were covered."""
    capture = synthetic.render(CELL, [BOX, CAN], 0)
    fused = Fusion(CELL).fuse(capture.frames, np.zeros((0, 4)), 10.1)[0].unwrap()
    height = (fused.cloud.points - X[:3, 3]) @ X[:3, 2]
    labels = np.zeros(len(fused.cloud), np.int32)
    for number, (piece, above) in enumerate(((BOX, 0.03), (CAN, 0.006)), 1):
        near = np.linalg.norm((fused.cloud.points - piece.X_base_item[:3, 3])[:, :2], axis=1) < 0.08
        labels[near & (height > above)] = number
    return fused, GeometricCompleter(CELL).complete_all(fused.cloud, labels, fused.volume)


@pytest.mark.parametrize(("number", "piece"), [(0, BOX), (1, CAN)])
def test_a_known_product_is_laid_where_it_is(seen: Seen, number: int, piece: synthetic.Piece) -> None:
    fused, items = seen
    out = CatalogueRegistrar(CELL, SKUS).register(items[number], SKUS[piece.sku], fused.volume, 0.9)
    assert out is not None
    np.testing.assert_allclose(out.shape.extents_m, SKUS[piece.sku].dimensions_m)
    assert np.linalg.norm(out.shape.X_base_box[:3, 3] - piece.X_base_item[:3, 3]) < 0.006
    n = len(out.visible)
    assert (out.shape.confidence[:n] == 1.0).all() and np.allclose(out.shape.confidence[n:], 0.9)
    assert np.linalg.det(out.shape.X_base_box[:3, :3]) == pytest.approx(1.0)
    assert (out.seen_extents_m <= out.shape.extents_m + 1e-9).all()


@pytest.mark.parametrize("wrong", ["large", "small", "bag"])
def test_a_wrong_or_shapeless_product_is_not_forced_on_an_item(seen: Seen, wrong: str) -> None:
    fused, items = seen
    assert CatalogueRegistrar(CELL, SKUS).register(items[0], SKUS[wrong], fused.volume, 0.9) is None


@pytest.mark.parametrize("identity", [Identity.unknown(), Identity("box", 0.4), Identity("nobody knows it", 0.99)])
def test_without_a_sure_identity_an_item_stays_as_it_was(seen: Seen, identity: Identity) -> None:
    fused, items = seen
    out = CatalogueRegistrar(CELL, SKUS).refine_all(items, [identity] * len(items), fused.volume)
    assert out == items


def test_the_more_trusted_shape_wins(seen: Seen) -> None:
    fused, items = seen
    out = CatalogueRegistrar(CELL, SKUS).refine_all(items, [Identity("box", 0.95), Identity("can", 0.95)], fused.volume)
    assert out[0] is not items[0] and out[1] is not items[1], "extruded sides are trusted less than a known product"


@given(st.tuples(*[st.floats(0.005, 0.2)] * 3), st.booleans(), st.floats(0.002, 0.02))
def test_surface_points_lie_on_the_surface_and_normals_point_out(
    half: tuple[float, float, float], is_round: bool, spacing: float
) -> None:
    sides = np.array([half[0], half[0], half[2]] if is_round else half)
    points, normals = surface_points(Solid(sides, is_round), spacing)
    for point, normal in zip(points[::7], normals[::7]):
        assert abs(signed_distance(*point, sides, is_round)) < 1e-9
        outside, inside = point + 0.001 * normal, point - 0.001 * normal
        assert signed_distance(*outside, sides, is_round) == pytest.approx(0.001, abs=1e-9)
        assert signed_distance(*inside, sides, is_round) <= 1e-12, "inside, or along an edge on the next face"
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1.0)


def test_only_products_with_a_shape_have_solids() -> None:
    assert len(solids_of(SKUS["box"])) == 6 and not solids_of(SKUS["bag"])
    (can,) = solids_of(SKUS["can"])
    assert can.is_round and can.half.tolist() == [0.03, 0.03, 0.045]
    flat = Sku("tin", "a flat tin", "can", np.array([0.08, 0.08, 0.03]), 0.1)
    assert solids_of(flat)[0].half.tolist() == [0.04, 0.04, 0.015]
    assert not solids_of(Sku("odd", "an oval can", "can", np.array([0.09, 0.06, 0.03]), 0.1)), "neither pair is a diameter"
