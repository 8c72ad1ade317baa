"""Items that stand still, move, hide and vanish, on a made-up tote; and what a watching update says of bad frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import synthetic_cell as synthetic

from pickcell.completion import GeometricCompleter
from pickcell.fusion import FusedScene, Fusion
from pickcell.geometry import make_pose
from pickcell.outcome import Code
from pickcell.tracking import TrackState, Watch
from pickcell.tracking.agreement import claim, sights_of
from pickcell.values import Identity, Instance, Voxel

CELL = synthetic.cell()
NO_ROBOT = np.zeros((0, 4))
X = CELL.X_base_tote("source")


def pieces(shift: tuple[float, float] = (0.0, 0.0), turn: float = 0.0) -> list[synthetic.Piece]:
    """Three boxes; the first is moved."""
    return [
        synthetic.Piece("a", "box", (0.09, 0.06, 0.04), X @ make_pose((*shift, 0.02), (0, 0, turn)), (0.9, 0.3, 0.2)),
        synthetic.Piece("b", "box", (0.08, 0.07, 0.05), X @ make_pose((0.11, 0.14, 0.025)), (0.2, 0.6, 0.9)),
        synthetic.Piece("c", "box", (0.10, 0.05, 0.03), X @ make_pose((-0.10, -0.15, 0.015)), (0.3, 0.8, 0.3)),
    ]


def started(config: list[synthetic.Piece]) -> tuple[Watch, FusedScene, list[Instance]]:
    """A watch on a tote, each piece an instance with its number + 1."""
    capture = synthetic.render(CELL, config, 0)
    fused = Fusion(CELL).fuse(capture.frames, NO_ROBOT, 10.1)[0].unwrap()
    labels = np.zeros(len(fused.cloud), np.int32)
    for number, piece in enumerate(config, 1):
        local = (fused.cloud.points - piece.X_base_item[:3, 3]) @ piece.X_base_item[:3, :3]
        labels[
            (np.abs(local) < 0.5 * np.array(piece.size) + 0.004).all(axis=1) & (local[:, 2] > 0.006 - 0.5 * piece.size[2])
        ] = number
    shapes = GeometricCompleter(CELL).complete_all(fused.cloud, labels, fused.volume)
    instances = [Instance(i, s.visible, s.shape, Identity.unknown(), s.exposure) for i, s in enumerate(shapes, 1)]
    watch = Watch(CELL)
    watch.start(fused, {f.camera.name: f.X_base_camera for f in capture.frames}, instances)
    return watch, fused, instances


def states(watch: Watch, config: list[synthetic.Piece], robot: np.ndarray = NO_ROBOT) -> dict[int, TrackState]:
    seen = watch.update(synthetic.render(CELL, config, 1).frames, robot, 10.1).unwrap()
    return {track.id: track.state for track in seen.tracks}


def test_what_stands_still_is_still_and_space_is_told_from_things() -> None:
    watch, _, _ = started(pieces())
    frames = synthetic.render(CELL, pieces(), 1).frames
    seen = watch.update(frames, NO_ROBOT, 10.1).unwrap()
    assert [track.state for track in seen.tracks] == [TrackState.STILL] * 3
    assert all(np.array_equal(track.X_base_start, np.eye(4)) and track.score > 0.6 for track in seen.tracks)
    grid, place = seen.occupancy, X[:3, 3] + X[:3, 2] * 0.035
    ijk = np.floor((place - grid.origin) / grid.resolution_m).astype(int)
    assert grid.state[tuple(ijk)] == Voxel.OCCUPIED and grid.state[ijk[0], ijk[1], ijk[2] + 8] == Voxel.FREE
    assert set(seen.timings_ms) == {"watch_prepare", "watch_space", "watch_tracking"}


@pytest.mark.parametrize(("shift", "turn"), [((0.03, 0.0), 0.0), ((0.0, -0.05), 0.2), ((-0.02, 0.03), -0.25)])
def test_a_shoved_item_is_found_again_and_the_others_stay(shift: tuple[float, float], turn: float) -> None:
    watch, _, _ = started(pieces())
    found = states(watch, pieces(shift, turn))
    assert found == {1: TrackState.MOVED, 2: TrackState.STILL, 3: TrackState.STILL}
    track = watch.tracker.tracks[0]
    expected = pieces(shift, turn)[0].X_base_item @ np.linalg.inv(pieces()[0].X_base_item)
    middle = pieces()[0].X_base_item[:3, 3]
    off = (track.X_base_start @ np.append(middle, 1.0) - expected @ np.append(middle, 1.0))[:3]
    assert np.linalg.norm(off) < 0.008
    assert np.arccos(np.clip((np.trace(track.X_base_start[:3, :3].T @ expected[:3, :3]) - 1) / 2, -1, 1)) < 0.15
    assert states(watch, pieces(shift, turn))[1] is TrackState.STILL, "there it stays"


def test_an_item_behind_the_robot_is_hidden_and_is_the_same_when_the_robot_is_gone() -> None:
    watch, _, _ = started(pieces())
    states(watch, pieces())
    arm = np.array([[*(X[:3, 3] + X[:3, 2] * 0.05), 0.13]])
    assert states(watch, pieces(), arm)[1] is TrackState.HIDDEN
    assert states(watch, pieces())[1] is TrackState.STILL


def test_an_item_that_was_taken_away_is_lost_not_found_elsewhere() -> None:
    watch, _, _ = started(pieces())
    found = states(watch, pieces()[1:])
    assert found == {1: TrackState.LOST, 2: TrackState.STILL, 3: TrackState.STILL}


def test_only_the_named_are_followed_and_unknown_names_raise() -> None:
    watch, _, _ = started(pieces())
    frames = synthetic.render(CELL, pieces((0.03, 0.0)), 1).frames
    seen = watch.update(frames, NO_ROBOT, 10.1, only=[2]).unwrap()
    assert [track.state for track in seen.tracks] == [TrackState.STILL] * 3, "nobody looked at the first"
    with pytest.raises(KeyError):
        watch.update(frames, NO_ROBOT, 10.1, only=[7])
    with pytest.raises(KeyError):
        watch.tracker.cloud(7)


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda f: [], Code.CAMERA_MISSING),
        (lambda f: [replace(each, stamp_s=2.0) for each in f], Code.CAMERA_STALE),
        (lambda f: [replace(each, depth_m=np.full_like(each.depth_m, np.nan)) for each in f], Code.DEPTH_INVALID),
    ],
)
def test_bad_frames_are_refused_and_the_tracks_stay(spoil, code: Code) -> None:
    watch, _, _ = started(pieces())
    before = watch.tracker.tracks
    assert watch.update(spoil(synthetic.render(CELL, pieces(), 1).frames), NO_ROBOT, 10.1).code is code
    assert watch.tracker.tracks == before


def test_ids_beyond_16_bits_with_a_sign_claim_their_pixels() -> None:
    watch, fused, instances = started(pieces())
    large = [replace(each, id=each.id + 40_000) for each in instances]
    frames = synthetic.render(CELL, pieces(), 1).frames
    watch.start(fused, {f.camera.name: f.X_base_camera for f in frames}, large)
    seen = watch.update(frames, NO_ROBOT, 10.1).unwrap()
    assert [track.id for track in seen.tracks] == [40_001, 40_002, 40_003]
    sights = sights_of(list(fused.views), [frame.color for frame in fused.frames], X)
    claim(sights, 40_001, watch.tracker.cloud(40_001), 0.006)
    assert (sights.owner == 40_001).any()


def test_a_camera_that_the_look_did_without_is_not_watched_with() -> None:
    watch, fused, instances = started(pieces())
    frames = synthetic.render(CELL, pieces(), 1).frames
    left_out = frames[0].camera.name
    less = replace(fused, frames=tuple(f for f in fused.frames if f.camera.name != left_out),
                   views=tuple(v for v in fused.views if v.camera.name != left_out))  # fmt: skip
    watch.start(less, {f.camera.name: f.X_base_camera for f in frames}, instances)
    seen = watch.update(frames, NO_ROBOT, 10.1).unwrap()
    health = {each.camera: each for each in seen.cameras}
    assert not health[left_out].used and "did without" in health[left_out].note
    assert all(each.used for name, each in health.items() if name != left_out and name in {f.camera.name for f in frames})
    nobody = watch.update([f for f in frames if f.camera.name == left_out], NO_ROBOT, 10.1)
    assert nobody.code in (Code.DEPTH_INVALID, Code.CAMERA_MISSING) and not any(each.used for each in watch.cameras)
