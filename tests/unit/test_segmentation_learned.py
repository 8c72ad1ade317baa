"""The learned judge's parts on hand-made answers, and what it does without a network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import synthetic_cell as synthetic

from pickcell.fusion import FusedScene, Fusion
from pickcell.fusion.frames import project
from pickcell.fusion.tsdf import DepthView
from pickcell.geometry import inverse, transform_points
from pickcell.network import ModelError
from pickcell.segmentation import PatchSegmenter
from pickcell.segmentation.affinity import (
    PAIR_FEATURES,
    UNSEEN,
    AffinityNetwork,
    ViewAffinity,
    item_logits,
    pair_features,
    patch_pictures,
)
from pickcell.segmentation.choose import make_segmenter
from pickcell.segmentation.crop import CHANNELS, HEIGHT, WIDTH, Crop, crop_input, tote_crop
from pickcell.segmentation.judge import NAMES, AffinityJudgement, EvidenceWeights
from pickcell.segmentation.offsets import LOGITS, OFFSETS, REACHES, STRIDE, VOTE_HEIGHT_M, VOTE_PX, pixel_centres
from pickcell.segmentation.patch_scene import Judgement
from pickcell.segmentation.regions import fuse_regions, regions_of
from pickcell.segmentation.reunite import REUNITE_FEATURES, reunite, segment_pairs
from pickcell.segmentation.trust import TRUST_FEATURES
from pickcell.segmentation.votes import VOTE_FEATURES, patch_votes, vote_features

CELL = synthetic.cell()
SHAPE = (LOGITS, HEIGHT // STRIDE, WIDTH // STRIDE)
X_BASE_TOTE = CELL.X_base_tote("source")


def fused_scene(seed: int = 0, pieces: int = 8) -> tuple[FusedScene, synthetic.Capture]:
    capture = synthetic.render(CELL, synthetic.random_pieces(CELL, pieces, seed), seed)
    return Fusion(CELL).fuse(capture.frames, np.zeros((0, 4)), 10.1)[0].unwrap(), capture


def perfect_answers(fused: FusedScene, capture: synthetic.Capture, sure: float = 6.0) -> list[ViewAffinity]:
    """What a network that knows the truth would answer."""
    truth = {frame.camera.name: labels for frame, labels in zip(capture.frames, capture.labels)}
    answers = []
    for view in fused.views:
        crop = tote_crop(view, CELL)
        assert crop is not None
        item = crop.warp(truth[view.camera.name].astype(np.float32), nearest=True)[::STRIDE, ::STRIDE].astype(int)
        logits = np.full(SHAPE, -sure, np.float32)
        logits[0][item > 0] = sure
        for k, (dr, dc) in enumerate(OFFSETS):
            moved = np.zeros_like(item)
            rows, columns = slice(0, item.shape[0] - dr), slice(max(0, -dc), item.shape[1] - max(0, dc))
            moved[rows, columns] = item[dr:, max(0, dc) : item.shape[1] + min(0, dc)]
            logits[1 + k][(item == moved) & (item > 0)] = sure
        answers.append(ViewAffinity(view, crop, logits, _true_votes(item, view, crop, capture)))
    return answers


def _true_votes(item: np.ndarray, view: DepthView, crop: Crop, capture: synthetic.Capture) -> np.ndarray:
    """Votes of a network that knows where every piece is."""
    middle = np.array([[0.0, 0.0, 0.0], *(piece.X_base_item[:3, 3] for piece in capture.pieces)])
    u, v, _ = project(view.camera, view.X_base_camera, middle)
    height = transform_points(inverse(CELL.X_base_tote("source")), middle)[:, 2]
    rows, columns = pixel_centres(*item.shape)
    there = (u[item] - crop.u0) * crop.scale - columns, (v[item] - crop.v0) * crop.scale - rows
    return np.stack([there[0] / VOTE_PX, there[1] / VOTE_PX, height[item] / VOTE_HEIGHT_M]).astype(np.float32)


class Told:
    """A judge that was told the answers."""

    def __init__(self, judgement: AffinityJudgement) -> None:
        self.judgement = judgement

    def look(self, fused: FusedScene) -> Judgement:
        return self.judgement


def test_a_crop_shows_the_whole_tote_at_one_scale() -> None:
    fused, _ = fused_scene()
    for view, frame in zip(fused.views, fused.frames):
        crop = tote_crop(view, CELL)
        assert crop is not None
        values = crop_input(view, frame.color, CELL, crop)
        assert values.shape == (CHANNELS, HEIGHT, WIDTH) and np.isfinite(values).all()
        seen = values[5] > 0
        assert set(np.unique(values[5])) <= {0.0, 1.0} and seen.any()
        assert not values[3:5, ~seen].any(), "no geometry where there is no depth"
        floor = (values[6] > 0) & (np.abs(values[3]) < 0.05)
        assert floor.sum() > 500, "much of the tote's floor lies at height 0, inside"


def test_a_camera_that_looks_elsewhere_is_not_asked() -> None:
    fused, _ = fused_scene()
    view = fused.views[0]
    away = np.array(view.X_base_camera)
    away[:3, 3] += [5.0, 0.0, 0.0]
    assert tote_crop(replace(view, X_base_camera=away), CELL) is None


def test_points_take_the_word_of_the_views_that_see_them() -> None:
    fused, capture = fused_scene()
    answers = perfect_answers(fused, capture)
    logit = item_logits(fused.cloud.points, answers)
    assert (logit > UNSEEN).mean() > 0.9
    assert item_logits(fused.cloud.points, []).max() == UNSEEN, "nobody looked"
    geometric = np.zeros(len(logit), bool)
    evidence = EvidenceWeights(np.zeros(len(NAMES)), 0.0)
    some = AffinityJudgement(fused, answers, evidence, X_BASE_TOTE).is_item(geometric)
    assert some.any() and not AffinityJudgement(fused, [], evidence, X_BASE_TOTE).is_item(geometric).any()


def test_pairs_pool_the_pixels_across_them_by_reach() -> None:
    fused, capture = fused_scene()
    answers = perfect_answers(fused, capture)
    scene = PatchSegmenter(CELL).patch_scene(fused)
    of_point = np.full(len(fused.cloud), -1, np.int32)
    of_point[scene.rows] = scene.patches.label
    graph = scene.graph
    pictures = patch_pictures(answers, fused.volume, fused.surface, of_point)
    features = pair_features(answers, pictures, graph.pairs, len(scene.patches.sizes))
    assert features.shape == (len(graph.pairs), len(PAIR_FEATURES))
    blind = PAIR_FEATURES.index("unseen")
    assert (features[:, blind] == 0).mean() > 0.6, "most pairs show in some view"
    unseen = pair_features([], [], graph.pairs, len(scene.patches.sizes))
    assert not unseen[:, :blind].any() and unseen[:, blind].all()
    assert sorted(k for reach in REACHES for k in range(len(OFFSETS))[reach]) == list(range(len(OFFSETS)))


def test_a_network_that_knows_the_truth_separates_every_item() -> None:
    fused, capture = fused_scene(seed=1, pieces=14)
    weights = np.zeros(len(NAMES))
    weights[[NAMES.index("near"), NAMES.index("middle")]] = 1.0
    judgement = AffinityJudgement(fused, perfect_answers(fused, capture), EvidenceWeights(weights, 0.0), X_BASE_TOTE)
    segmentation = PatchSegmenter(CELL, judge=Told(judgement)).segment(fused, [])
    count = int(segmentation.labels.max())
    assert len(segmentation.confidence) == count and abs(count - 14) <= 2
    assert ((segmentation.confidence >= 0) & (segmentation.confidence <= 1)).all()
    assert np.median(segmentation.confidence) > 0.5, "most are trusted, by the weights of geometry alone"


def test_votes_meet_at_the_middle_of_each_item() -> None:
    fused, capture = fused_scene(seed=3)
    answers = perfect_answers(fused, capture)
    scene = PatchSegmenter(CELL).patch_scene(fused)
    of_point = np.full(len(fused.cloud), -1, np.int32)
    of_point[scene.rows] = scene.patches.label
    pictures = patch_pictures(answers, fused.volume, fused.surface, of_point)
    votes = patch_votes(answers, pictures, len(scene.patches.sizes), X_BASE_TOTE)
    known = votes.count > 3
    assert known.mean() > 0.5
    middles = transform_points(inverse(X_BASE_TOTE), np.array([piece.X_base_item[:3, 3] for piece in capture.pieces]))
    off = np.linalg.norm(votes.middle[known][:, None] - middles[None], axis=2).min(axis=1)
    assert np.median(off) < 0.004, (np.median(off), "cameras that are a little off agree to within millimetres")
    features = vote_features(votes, scene.graph.pairs)
    assert features.shape == (len(scene.graph.pairs), len(VOTE_FEATURES)) and np.isfinite(features).all()
    nobody = vote_features(patch_votes([], [], len(scene.patches.sizes), X_BASE_TOTE), scene.graph.pairs)
    assert not nobody[:, :-1].any() and nobody[:, -1].all()


def test_parts_that_vote_for_one_middle_are_reunited_and_no_item_grows_too_long() -> None:
    fused, capture = fused_scene(seed=4)
    answers = perfect_answers(fused, capture)
    segmenter = PatchSegmenter(CELL)
    scene = segmenter.patch_scene(fused)
    of_point = np.full(len(fused.cloud), -1, np.int32)
    of_point[scene.rows] = scene.patches.label
    pictures = patch_pictures(answers, fused.volume, fused.surface, of_point)
    patches = len(scene.patches.sizes)
    votes = patch_votes(answers, pictures, patches, X_BASE_TOTE)
    middles = transform_points(inverse(X_BASE_TOTE), np.array([piece.X_base_item[:3, 3] for piece in capture.pieces]))
    owner = np.linalg.norm(votes.middle[:, None] - middles[None], axis=2).argmin(axis=1)
    torn = 2 * owner + (scene.patches.centres[:, 0] > middles[owner, 0])  # every item in two halves
    torn = np.unique(torn, return_inverse=True)[1].astype(np.int64)
    pairs = segment_pairs(torn, scene, votes, np.zeros(len(scene.graph.pairs)), segmenter.distance(fused))
    assert pairs.features.shape == (len(pairs.pairs), len(REUNITE_FEATURES)) and np.isfinite(pairs.features).all()
    weights = np.zeros(len(REUNITE_FEATURES))
    weights[REUNITE_FEATURES.index("bias")], weights[REUNITE_FEATURES.index("vote_gap")] = 1.0, -3.0
    joined = reunite(torn, pairs, weights, scene, 0.4)
    assert len(np.unique(torn)) >= 14
    assert len(np.unique(joined)) == 8, "halves came together, items stayed apart"
    short = reunite(torn, pairs, weights, scene, 0.001)
    assert len(np.unique(short)) == len(np.unique(torn)), "no two halves make an item of a millimetre"


def test_weights_survive_a_file(tmp_path: Path) -> None:
    reunite = np.arange(len(REUNITE_FEATURES), dtype=float)
    trust = np.arange(len(TRUST_FEATURES), dtype=float) - 3.0
    weights = EvidenceWeights(np.arange(len(NAMES), dtype=float), -0.5, reunite, trust)
    weights.save(tmp_path / "w.json")
    again = EvidenceWeights.load(tmp_path / "w.json")
    assert np.array_equal(again.weights, weights.weights) and again.item_above == -0.5
    assert again.reunite is not None and np.array_equal(again.reunite, reunite)
    assert again.trust is not None and np.array_equal(again.trust, trust)


@pytest.mark.parametrize("text", [None, "", "{}", '{"item_above": 0, "weights": {"bias": "much"}}'])
def test_unusable_weights_are_named(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "w.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ModelError, match=r"w\.json.*train segmentation"):
        EvidenceWeights.load(path)


@pytest.mark.parametrize("content", [None, b"", b"no network"])
def test_an_unusable_network_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "n.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=r"n\.onnx.*train segmentation"):
        AffinityNetwork(path)


def test_the_shipped_network_and_its_weights_fit_each_other() -> None:
    fused, _ = fused_scene(seed=2, pieces=10)
    segmentation = make_segmenter("learned", CELL).segment(fused, [])
    count = int(segmentation.labels.max())
    assert len(segmentation.confidence) == count
    assert 7 <= count <= 14, "it was trained on other pictures than these, but boxes are boxes"


def test_an_unknown_segmenter_is_named() -> None:
    with pytest.raises(ValueError, match="learned, geometric"):
        make_segmenter("magic", CELL)


def test_a_missing_network_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="train segmentation"):
        make_segmenter("learned", CELL, models=tmp_path)


@pytest.mark.parametrize("seed", range(3))
def test_regions_are_what_the_affinities_separate(seed: int) -> None:
    """On logits made from random blocks, each block is one region and no region crosses a border."""
    rng = np.random.default_rng(seed)
    blocks = np.kron(rng.permutation(np.arange(1, 81)).reshape(8, 10), np.ones((16, 16), int))
    blocks[rng.random((8, 10)).repeat(16, 0).repeat(16, 1) < 0.3] = 0
    logits = np.full(SHAPE, -4.0, np.float32)
    logits[0][blocks > 0] = 4.0
    logits[1, :, :-1][(blocks[:, :-1] == blocks[:, 1:]) & (blocks[:, 1:] > 0)] = 4.0
    logits[2, :-1][(blocks[:-1] == blocks[1:]) & (blocks[1:] > 0)] = 4.0
    region = regions_of(logits)
    assert ((region > 0) == (blocks > 0)).all()
    pairs = np.unique(np.column_stack([blocks.ravel(), region.ravel()]), axis=0)
    assert len(pairs) == len(np.unique(blocks)) == len(np.unique(region))


def test_cameras_outvote_the_one_that_tears_an_item_apart() -> None:
    fused, capture = fused_scene(seed=1, pieces=6)
    answers = perfect_answers(fused, capture)
    whole = fuse_regions(fused.cloud.points, answers)
    torn = [replace(a, logits=a.logits.copy()) for a in answers]
    torn[0].logits[1:, :, ::9] = -6.0  # this camera sees stripes
    again = fuse_regions(fused.cloud.points, torn)
    same = [
        np.unique(again.item[(whole.item == k) & (again.item > 0)], return_counts=True)[1] for k in np.unique(whole.item)[1:]
    ]
    kept = [counts.max() / counts.sum() for counts in same if len(counts) and counts.sum() > 300]
    assert kept and np.median(kept) > 0.9
    assert (again.agreement <= 1.0).all() and not fuse_regions(fused.cloud.points, []).item.any()
