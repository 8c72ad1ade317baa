"""From look to look: items keep their ids while others go, and while they are followed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import synthetic_cell as synthetic

from pickcell.geometry import make_pose
from pickcell.outcome import Code
from pickcell.perception import PerceptionPipeline
from pickcell.tracking import TrackState
from pickcell.values import Scene

CELL = synthetic.cell()
JOINTS = synthetic.home_joints(CELL, 10.0)
PIECES = synthetic.random_pieces(CELL, 9, 5)


def rendered(pieces: list[synthetic.Piece], seed: int = 0) -> synthetic.Capture:
    return synthetic.render(CELL, pieces, seed)


def look(pipeline: PerceptionPipeline, pieces: list[synthetic.Piece], manifest: dict[str, int], seed: int = 0) -> Scene:
    return pipeline.observe(rendered(pieces, seed).frames, JOINTS, manifest, 10.1).unwrap()


def owners(scene: Scene, pieces: list[synthetic.Piece]) -> dict[int, int]:
    """Id of the instance nearest to each piece's top (by number of the piece), where there is one within 2 cm."""
    out = {}
    for number, piece in enumerate(pieces):
        apart = [np.linalg.norm(i.visible.points.mean(axis=0)[:2] - piece.X_base_item[:2, 3]) for i in scene.instances]
        if min(apart) < 0.02:
            out[number] = scene.instances[int(np.argmin(apart))].id
    return out


@pytest.fixture
def pipeline() -> PerceptionPipeline:
    return PerceptionPipeline(CELL, "", synthetic.catalogue_of(PIECES))


def test_items_keep_their_ids_while_others_are_taken_out(pipeline: PerceptionPipeline) -> None:
    manifest = rendered(PIECES).manifest
    first = look(pipeline, PIECES, manifest)
    before = owners(first, PIECES)
    left = PIECES[1:]
    manifest[PIECES[0].sku] -= 1
    later = look(pipeline, left, manifest, seed=1)
    after = owners(later, left)
    same = [before[n + 1] == i for n, i in after.items() if n + 1 in before]
    assert len(same) >= 6 and all(same)
    shown = set(np.unique(np.concatenate([view.labels.ravel() for view in later.views]))) - {0}
    assert shown <= {instance.id for instance in later.instances}, "pictures bear the same ids"


def test_another_tote_gets_other_ids(pipeline: PerceptionPipeline) -> None:
    manifest = rendered(PIECES).manifest
    first = look(pipeline, PIECES, manifest)
    later = look(pipeline, PIECES, {**manifest, PIECES[0].sku: manifest[PIECES[0].sku] + 1})
    assert {i.id for i in first.instances}.isdisjoint({i.id for i in later.instances})


def test_without_a_look_there_is_nothing_to_follow(pipeline: PerceptionPipeline) -> None:
    assert pipeline.watch(rendered(PIECES).frames, JOINTS, 10.1).code is Code.SCENE_EMPTY


def test_what_is_followed_bears_the_ids_of_the_look_and_keeps_them_in_the_next(pipeline: PerceptionPipeline) -> None:
    manifest = rendered(PIECES).manifest
    scene = look(pipeline, PIECES, manifest)
    ids = owners(scene, PIECES)
    free = next(n for n in ids if all(np.linalg.norm((p.X_base_item[:3, 3] - PIECES[n].X_base_item[:3, 3])[:2]) > 0.12
                                      for k, p in enumerate(PIECES) if k != n))  # fmt: skip
    pieces, X = list(PIECES), CELL.X_base_tote("source")
    for k in (1, 2):
        pieces[free] = replace(PIECES[free], X_base_item=make_pose(-0.012 * k * X[:3, 0]) @ PIECES[free].X_base_item)
        watched = pipeline.watch(rendered(pieces, k).frames, JOINTS, 10.1).unwrap()
    track = {t.id: t for t in watched.tracks}[ids[free]]
    assert track.state in (TrackState.MOVED, TrackState.STILL)
    assert abs(np.linalg.norm(track.X_base_start[:3, 3]) - 0.024) < 0.02
    assert owners(look(pipeline, pieces, manifest, seed=3), pieces)[free] == ids[free]


def test_one_camera_less_is_no_reason_to_stop_watching(pipeline: PerceptionPipeline) -> None:
    look(pipeline, PIECES, rendered(PIECES).manifest)
    frames = rendered(PIECES, 1).frames
    assert pipeline.watch(frames[:-1], JOINTS, 10.1).ok
    refused = pipeline.watch([replace(f, depth_m=np.full_like(f.depth_m, np.nan)) for f in frames], JOINTS, 10.1)
    assert refused.code is Code.DEPTH_INVALID
    with pytest.raises(KeyError):
        pipeline.watch(frames, JOINTS, 10.1, only=[999])


def test_after_a_look_that_failed_there_is_nothing_to_follow_but_ids_go_on(pipeline: PerceptionPipeline) -> None:
    manifest = rendered(PIECES).manifest
    before = owners(look(pipeline, PIECES, manifest), PIECES)
    assert pipeline.observe([], JOINTS, manifest, 10.1).code is Code.CAMERA_MISSING
    assert not pipeline.ids and pipeline.watch(rendered(PIECES).frames, JOINTS, 10.1).code is Code.SCENE_EMPTY
    after = owners(look(pipeline, PIECES, manifest, seed=1), PIECES)
    assert all(before[n] == i for n, i in after.items() if n in before)
