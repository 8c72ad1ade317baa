"""Instance segmentation on rendered totes, and its parts on hand-made input."""

from __future__ import annotations

import numpy as np
import pytest
import synthetic_cell as synthetic
from hypothesis import given, settings
from hypothesis import strategies as st

from pickcell.fusion import Fusion
from pickcell.fusion.color import to_lab
from pickcell.segmentation import PatchSegmenter, SegmentationConfig, label_images
from pickcell.segmentation.agglomerate import agglomerate
from pickcell.segmentation.foreground import foreground
from pickcell.segmentation.graph import FEATURES, build_graph
from pickcell.segmentation.labels import REACH, nearest_row
from pickcell.segmentation.supervoxels import Patches, neighbours_of

CELL = synthetic.cell()
NO_ROBOT = np.zeros((0, 4))


def _segment(capture: synthetic.Capture) -> tuple[list[np.ndarray], list[np.ndarray], int]:
    """Truth and predicted label images, and the number of instances."""
    fused = Fusion(CELL).fuse(capture.frames, NO_ROBOT, 10.1)[0].unwrap()
    labels = PatchSegmenter(CELL).segment(fused, []).labels
    images = label_images(fused.views, fused.volume, fused.surface, labels)
    by_name = {frame.camera.name: image for frame, image in zip(fused.frames, images)}
    return capture.labels, [by_name[frame.camera.name] for frame in capture.frames], int(labels.max(initial=0))


def _matches(truth: list[np.ndarray], predicted: list[np.ndarray], pieces: int) -> dict[int, int]:
    """piece -> instance for pairs whose pixels over all views overlap with IoU > 0.5."""
    t = np.concatenate([image.ravel() for image in truth])
    p = np.concatenate([image.ravel() for image in predicted])
    out = {}
    for piece in range(1, pieces + 1):
        mine = t == piece
        ids, counts = np.unique(p[mine & (p > 0)], return_counts=True)
        for i, overlap in zip(ids, counts):
            if overlap / (mine.sum() + (p == i).sum() - overlap) > 0.5:
                out[piece] = int(i)
    return out


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_items_apart_become_one_instance_each(seed: int) -> None:
    pieces = synthetic.random_pieces(CELL, 16, seed)
    truth, predicted, count = _segment(synthetic.render(CELL, pieces, seed))
    found = _matches(truth, predicted, len(pieces))
    assert len(found) >= len(pieces) - 1, f"missed {set(range(1, len(pieces) + 1)) - set(found)}"
    assert count <= len(pieces) + 2


def test_cards_on_the_floor_are_found_by_color() -> None:
    pieces = [p for seed in (4, 5) for p in synthetic.random_pieces(CELL, 12, seed) if p.kind == "card"][:4]
    assert len(pieces) == 4
    truth, predicted, _ = _segment(synthetic.render(CELL, pieces, 4))
    assert len(_matches(truth, predicted, len(pieces))) >= 3


def test_a_stack_of_two_boxes_is_two() -> None:
    from pickcell.geometry import make_pose

    X = CELL.X_base_tote("source")
    large = synthetic.Piece("a", "box", (0.12, 0.10, 0.05), X @ make_pose((0.0, 0.05, 0.025)), (0.8, 0.3, 0.2))
    small = synthetic.Piece("b", "box", (0.06, 0.05, 0.04), X @ make_pose((0.0, 0.05, 0.07), (0, 0, 0.5)), (0.2, 0.6, 0.3))
    truth, predicted, count = _segment(synthetic.render(CELL, [large, small], 1))
    assert len(_matches(truth, predicted, 2)) == 2 and count <= 3


def test_an_empty_tote_has_no_instances() -> None:
    _, predicted, count = _segment(synthetic.render(CELL, [], 2))
    assert count == 0 and not any(image.any() for image in predicted)


def test_foreground_of_hand_made_points() -> None:
    """Floor, wall, an item above the floor, a coloured sheet on it, and a grey one: kept are the item and the colour."""
    tote = CELL.totes["source"]
    x, y = (g.ravel() for g in np.meshgrid(np.arange(-0.17, 0.17, 0.003), np.arange(-0.26, 0.26, 0.003)))
    floor = np.column_stack([x, y, np.zeros(len(x))])
    colors = np.tile(np.array([80, 90, 110], np.uint8), (len(floor), 1))
    sheet = (np.abs(x - 0.05) < 0.03) & (np.abs(y) < 0.03)
    colors[sheet] = (220, 60, 50)
    wall = np.array([[0.5 * tote.inner[0] - 0.001, 0.0, 0.05]])
    item = np.array([[0.0, 0.1, 0.04]])
    points = np.vstack([floor, wall, item])
    normals = np.vstack([np.tile([0.0, 0.0, 1.0], (len(floor), 1)), [[-1.0, 0.0, 0.0]], [[0.0, 0.0, 1.0]]])
    lab = to_lab(np.vstack([colors, [[80, 90, 110]], [[80, 90, 110]]]).astype(np.uint8))
    kept = foreground(points, normals, lab, tote, SegmentationConfig(), 0.003)
    assert kept[-1] and not kept[-2]
    assert kept[: len(floor)][sheet].mean() > 0.95
    assert kept[: len(floor)][~sheet].mean() < 0.03


def test_crease_features() -> None:
    """A roof's ridge is convex, a gutter is concave; the signs follow from normals and centres alone."""
    up_left, up_right = np.array([-0.7071, 0, 0.7071]), np.array([0.7071, 0, 0.7071])
    centres = np.array([[-0.006, 0, 0], [0.006, 0, 0]])

    def features(first: np.ndarray, second: np.ndarray) -> dict[str, float]:
        label = np.array([0, 1], np.int32)
        patches = Patches(label, centres, np.stack([first, second]), np.zeros((2, 3)), np.array([1, 1]))
        neighbours = np.full((2, 26), -1, np.int32)
        neighbours[0, 0], neighbours[1, 0] = 1, 0
        graph = build_graph(patches, neighbours, lambda at: np.zeros(len(at)))
        assert graph.pairs.tolist() == [[0, 1]]
        return dict(zip(FEATURES, graph.features[0]))

    ridge, gutter = features(up_left, up_right), features(up_right, up_left)
    assert ridge["convex"] == pytest.approx(np.pi / 2, abs=1e-3) and ridge["concave"] == 0
    assert gutter["concave"] == pytest.approx(np.pi / 2, abs=1e-3) and gutter["convex"] == 0


def test_pixels_look_for_the_nearest_surface_cell() -> None:
    rng = np.random.default_rng(5)
    cells = np.unique(rng.integers(0, 12, (60, 3)), axis=0)
    index = np.full((12, 12, 12), -1, np.int32)
    index[tuple(cells.T)] = np.arange(len(cells), dtype=np.int32)
    for at in rng.integers(0, 12, (200, 3)):
        steps = cells - at
        near = np.abs(steps).max(axis=1) <= REACH
        expected = int(np.flatnonzero(near)[(steps[near] ** 2).sum(axis=1).argmin()]) if near.any() else -1
        assert nearest_row(index, *at.tolist()) == expected


def test_neighbours_are_mutual() -> None:
    rng = np.random.default_rng(0)
    cells = np.unique(rng.integers(0, 12, (400, 3)), axis=0).astype(np.int32)
    neighbours = neighbours_of(cells)
    for p in range(len(cells)):
        for q in neighbours[p][neighbours[p] >= 0]:
            assert np.abs(cells[p] - cells[q]).max() == 1
            assert p in neighbours[q]


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 30), st.integers(0, 1000))
def test_agglomeration_does_not_depend_on_numbering(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0, 0.1, (n, 3))
    pairs = np.array([(a, b) for a in range(n) for b in range(a + 1, n) if rng.random() < 0.4]).reshape(-1, 2)
    links = rng.integers(1, 20, len(pairs))
    evidence = rng.normal(0, 2, len(pairs))
    first = agglomerate(centres, pairs, links, evidence, 1.0)
    order = rng.permutation(n)
    inverse = np.argsort(order)
    swapped = np.sort(inverse[pairs], axis=1) if len(pairs) else pairs
    second = agglomerate(centres[order], swapped, links, evidence, 1.0)
    same_first = first[:, None] == first[None]
    same_second = second[inverse][:, None] == second[inverse][None]
    np.testing.assert_array_equal(same_first, same_second)


def test_agglomeration_stops_at_the_largest_product() -> None:
    centres = np.column_stack([np.arange(10) * 0.01, np.zeros(10), np.zeros(10)])
    pairs = np.array([(i, i + 1) for i in range(9)])
    joined = agglomerate(centres, pairs, np.ones(9, int), np.full(9, 3.0), 1.0)
    assert len(set(joined)) == 1
    limited = agglomerate(centres, pairs, np.ones(9, int), np.full(9, 3.0), 0.035)
    for segment in set(limited):
        assert np.ptp(centres[limited == segment, 0]) <= 0.035
    assert agglomerate(np.zeros((0, 3)), np.zeros((0, 2), int), np.zeros(0, int), np.zeros(0), 1.0).shape == (0,)
