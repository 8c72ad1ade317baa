"""What instances are trusted by: features on hand-made graphs, and that wrong instances get less trust than right ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_segmentation_learned import X_BASE_TOTE, fused_scene, perfect_answers

from pickcell.segmentation import PatchSegmenter
from pickcell.segmentation.affinity import patch_pictures
from pickcell.segmentation.patch_scene import Evidence, PatchScene
from pickcell.segmentation.trust import GEOMETRIC_TRUST, SURE, TRUST_FEATURES, trust, trust_features
from pickcell.segmentation.votes import PatchVotes, patch_votes


@pytest.fixture(scope="module")
def world() -> tuple[PatchSegmenter, PatchScene, PatchVotes, np.ndarray]:
    """A scene in patches, their true votes, and the true item (1..) of each patch."""
    from synthetic_cell import cell

    from pickcell.geometry import inverse, transform_points

    fused, capture = fused_scene(seed=4)
    segmenter = PatchSegmenter(cell())
    scene = segmenter.patch_scene(fused)
    of_point = np.full(len(fused.cloud), -1, np.int32)
    of_point[scene.rows] = scene.patches.label
    answers = perfect_answers(fused, capture)
    pictures = patch_pictures(answers, fused.volume, fused.surface, of_point)
    votes = patch_votes(answers, pictures, len(scene.patches.sizes), X_BASE_TOTE)
    middles = transform_points(inverse(X_BASE_TOTE), np.array([piece.X_base_item[:3, 3] for piece in capture.pieces]))
    owner = np.linalg.norm(votes.middle[:, None] - middles[None], axis=2).argmin(axis=1) + 1
    owner = np.unique(owner, return_inverse=True)[1] + 1  # an item that is hidden has no patches
    return segmenter, scene, votes, owner.astype(np.int32)


def _evidence(scene: PatchScene, owner: np.ndarray, votes: PatchVotes | None) -> Evidence:
    a, b = scene.graph.pairs.T
    return Evidence(np.where(owner[a] == owner[b], 3.0, -3.0), votes)


def _of(features: np.ndarray, name: str) -> np.ndarray:
    return features[:, TRUST_FEATURES.index(name)]


def test_right_instances_have_nothing_against_them(world: tuple) -> None:
    segmenter, scene, votes, owner = world
    features = trust_features(owner, scene, _evidence(scene, owner, votes), segmenter.look([]))
    assert features.shape == (owner.max(), len(TRUST_FEATURES)) and np.isfinite(features).all()
    assert np.allclose(_of(features, "inside")[_of(features, "inside") < 1], 1 / (1 + np.exp(-3.0)))
    assert (_of(features, "strongest_outside") <= -3.0).all() and (_of(features, "votes_apart") < 0.2).all()
    assert _of(features, "no_product").all() and not _of(features, "no_votes").any()


def test_an_instance_of_two_items_is_given_away_by_its_weakest_merge_and_its_votes(world: tuple) -> None:
    segmenter, scene, votes, owner = world
    a, b = scene.graph.pairs[owner[scene.graph.pairs[:, 0]] != owner[scene.graph.pairs[:, 1]]][0]
    first, second = sorted((int(owner[a]), int(owner[b])))
    joined = np.where(owner == second, first, owner)
    joined = (joined - (joined > second)).astype(np.int32)
    evidence = _evidence(scene, owner, votes)
    right = trust_features(owner, scene, evidence, segmenter.look([]))[first - 1]
    wrong = trust_features(joined, scene, evidence, segmenter.look([]))[first - 1]
    for name, sign in (("weakest_inside", -1), ("inside", -1), ("votes_differ", 1), ("votes_apart", 1)):
        k = TRUST_FEATURES.index(name)
        assert sign * (wrong[k] - right[k]) > 0, name


def test_a_torn_item_is_given_away_by_its_neighbour_and_its_rival(world: tuple) -> None:
    segmenter, scene, votes, owner = world
    item = int(np.bincount(owner).argmax())
    mine = owner == item
    half = mine & (scene.patches.centres[:, 0] > np.median(scene.patches.centres[mine, 0]))
    torn = np.where(half, owner.max() + 1, owner).astype(np.int32)
    features = trust_features(torn, scene, _evidence(scene, owner, votes), segmenter.look([]))
    for k in (item - 1, len(features) - 1):
        assert _of(features, "strongest_outside")[k] > 0 and _of(features, "rival")[k] > 0.8


def test_trust_is_a_chance_and_the_weights_of_the_evidence_count(world: tuple) -> None:
    segmenter, scene, votes, owner = world
    evidence = _evidence(scene, owner, votes)
    weights = np.zeros(len(TRUST_FEATURES))
    weights[0] = 1.0
    assert np.allclose(trust(owner, scene, replace(evidence, trust=weights), segmenter.look([])), 1 / (1 + np.exp(-1.0)))
    assert trust(owner, scene, replace(evidence, trust=1e6 * weights), segmenter.look([])).max() <= 1.0
    assert GEOMETRIC_TRUST.shape == weights.shape
    assert len(trust(np.zeros_like(owner), scene, evidence, segmenter.look([]))) == 0, "no instances, no trust"


@given(seed=st.integers(0, 10_000), count=st.integers(1, 12), has_votes=st.booleans())
def test_features_are_finite_and_bounded_for_any_instances(world: tuple, seed: int, count: int, has_votes: bool) -> None:
    segmenter, scene, votes, _ = world
    rng = np.random.default_rng(seed)
    instance = rng.integers(0, count + 1, len(scene.patches.sizes)).astype(np.int32)
    evidence = Evidence(rng.normal(0.0, 20.0, len(scene.graph.pairs)), votes if has_votes else None)
    features = trust_features(instance, scene, evidence, segmenter.look([]))
    assert features.shape == (instance.max(), len(TRUST_FEATURES)) and np.isfinite(features).all()
    assert np.abs(_of(features, "weakest_inside")).max(initial=0.0) <= SURE
    for name in ("inside", "outside", "rival", "votes_apart"):
        assert ((_of(features, name) >= 0) & (_of(features, name) <= 1)).all(), name
