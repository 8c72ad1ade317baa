"""Scenes to messages and back. Lossless but for the pictures' colours (JPEG) and rounding of times to nanoseconds."""

from __future__ import annotations

import math
import zlib

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from pickcell_interfaces.msg import (
    CameraHealth,
    HeightMap,
    Identity,
    Instance,
    InstanceSummary,
    RankedSku,
    Scene,
    SceneView,
    ShapeEstimate,
    VoxelGrid,
)
from pickcell_interfaces.msg import Track as TrackMsg
from sensor_msgs.msg import CompressedImage

from pickcell import values
from pickcell.tracking import Track, TrackState
from pickcell.values import BASE_FRAME
from pickcell_conversions.clouds import cloud_from_msg, cloud_to_msg
from pickcell_conversions.drivers import MessageError, camera_info_to_msg, camera_model_from_msg, seconds, time_msg
from pickcell_conversions.geometry import point_to_msg, pose_from_msg, pose_to_msg, vector_from_msg, vector_to_msg
from pickcell_conversions.outcomes import named_values_from_msg, named_values_to_msg

JPEG_QUALITY = 88
MAX_VOXELS = 1 << 28
"""Larger grids are refused before memory is taken for them."""


def grid_to_msg(grid: values.VoxelGrid) -> VoxelGrid:
    """Packed by zlib at its fastest level: mostly uniform space shrinks some fiftyfold in a few milliseconds."""
    return VoxelGrid(
        origin=point_to_msg(grid.origin),
        resolution=float(grid.resolution_m),
        size=np.array(grid.state.shape, np.uint32),
        encoding="zlib",
        data=zlib.compress(np.ascontiguousarray(grid.state), 1),
    )


def grid_from_msg(msg: VoxelGrid) -> values.VoxelGrid:
    """Raises MessageError for an unknown encoding or data that does not fit the size."""
    size = tuple(int(n) for n in msg.size)
    expected = math.prod(size)
    if expected > MAX_VOXELS:
        raise MessageError(f"voxel grid of {size} voxels is too large")
    if msg.encoding == "zlib":
        try:
            data = zlib.decompress(bytes(msg.data))
        except zlib.error as error:
            raise MessageError(f"voxel grid cannot be unpacked: {error}") from error
    elif msg.encoding == "raw":
        data = bytes(msg.data)
    else:
        raise MessageError(f"voxel grid encoding '{msg.encoding}' is not known; valid: raw, zlib")
    if len(data) != expected:
        raise MessageError(f"voxel grid of {size} voxels has {len(data)} bytes")
    return values.VoxelGrid(vector_from_msg(msg.origin), msg.resolution, np.frombuffer(data, np.uint8).reshape(size))


def heightmap_to_msg(tote: str, heightmap: values.HeightMap) -> HeightMap:
    msg = HeightMap(tote=tote, pose=pose_to_msg(heightmap.X_base_map), resolution=float(heightmap.resolution_m))
    msg.size = np.array(heightmap.height_m.shape, np.uint32)
    msg.height.frombytes(np.ascontiguousarray(heightmap.height_m).tobytes())
    return msg


def heightmap_from_msg(msg: HeightMap) -> values.HeightMap:
    size = tuple(int(n) for n in msg.size)
    if len(msg.height) != math.prod(size):
        raise MessageError(f"height map of {size} cells has {len(msg.height)} values")
    return values.HeightMap(pose_from_msg(msg.pose), msg.resolution, np.array(msg.height, np.float32).reshape(size))


def shape_to_msg(shape: values.ShapeEstimate, stamp: Time) -> ShapeEstimate:
    return ShapeEstimate(
        cloud=cloud_to_msg(shape.cloud, stamp, shape.confidence),
        box_pose=pose_to_msg(shape.X_base_box),
        box_extents=vector_to_msg(shape.extents_m),
    )


def shape_from_msg(msg: ShapeEstimate) -> values.ShapeEstimate:
    cloud, confidence = cloud_from_msg(msg.cloud)
    if confidence is None:
        raise MessageError("the cloud of a shape needs the field 'confidence'")
    return values.ShapeEstimate(cloud, confidence, pose_from_msg(msg.box_pose), vector_from_msg(msg.box_extents))


def identity_to_msg(identity: values.Identity) -> Identity:
    ranking = [RankedSku(sku=sku, probability=float(p)) for sku, p in identity.ranking]
    return Identity(sku=identity.sku or "", confidence=float(identity.confidence), ranking=ranking)


def identity_from_msg(msg: Identity) -> values.Identity:
    return values.Identity(msg.sku or None, msg.confidence, tuple((r.sku, r.probability) for r in msg.ranking))


def instance_to_msg(instance: values.Instance, stamp: Time) -> Instance:
    return Instance(
        id=int(instance.id),
        visible=cloud_to_msg(instance.visible, stamp),
        shape=shape_to_msg(instance.shape, stamp),
        identity=identity_to_msg(instance.identity),
        exposure=float(instance.exposure),
        confidence=float(instance.confidence),
    )


def instance_from_msg(msg: Instance) -> values.Instance:
    return values.Instance(
        int(msg.id),
        cloud_from_msg(msg.visible)[0],
        shape_from_msg(msg.shape),
        identity_from_msg(msg.identity),
        msg.exposure,
        msg.confidence,
    )


def summary_to_msg(instance: values.Instance) -> InstanceSummary:
    """An instance without its clouds, for screens and hosts."""
    return InstanceSummary(
        id=int(instance.id),
        identity=identity_to_msg(instance.identity),
        exposure=float(instance.exposure),
        confidence=float(instance.confidence),
        box_pose=pose_to_msg(instance.shape.X_base_box),
        box_extents=vector_to_msg(instance.shape.extents_m),
        visible_points=len(instance.visible),
    )


def track_to_msg(track: Track) -> TrackMsg:
    """A followed item."""
    return TrackMsg(
        id=int(track.id), motion=pose_to_msg(track.X_base_start), state=track.state.value, score=float(track.score)
    )


def track_from_msg(msg: TrackMsg) -> Track:
    """Raises MessageError for a state that there is not."""
    try:
        state = TrackState(msg.state)
    except ValueError:
        raise MessageError(f"track {msg.id}: state '{msg.state}' is none of {[s.value for s in TrackState]}") from None
    return Track(int(msg.id), pose_from_msg(msg.motion), state, msg.score)


def _encode(image: NDArray, extension: str, options: list[int], stamp: Time, frame_id: str) -> CompressedImage:
    done, data = cv2.imencode(extension, image, options)
    if not done:
        raise ValueError(f"image {image.shape} {image.dtype} cannot be encoded as {extension}")
    msg = CompressedImage(format=extension.lstrip(".").replace("jpg", "jpeg"), data=data.tobytes())
    msg.header.stamp = stamp
    msg.header.frame_id = frame_id
    return msg


def view_to_msg(view: values.SceneView, stamp: Time) -> SceneView:
    frame = view.camera.frame_id
    color = np.ascontiguousarray(view.color[:, :, ::-1])  # OpenCV has BGR
    return SceneView(
        camera=view.camera.name,
        camera_info=camera_info_to_msg(view.camera, seconds(stamp)),
        pose=pose_to_msg(view.X_base_camera),
        color=_encode(color, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY], stamp, frame),
        labels=_encode(view.labels, ".png", [cv2.IMWRITE_PNG_COMPRESSION, 1], stamp, frame),
    )


def view_from_msg(msg: SceneView) -> values.SceneView:
    camera = camera_model_from_msg(msg.camera_info, msg.camera)
    color = cv2.imdecode(np.frombuffer(msg.color.data, np.uint8), cv2.IMREAD_COLOR)
    labels = cv2.imdecode(np.frombuffer(msg.labels.data, np.uint8), cv2.IMREAD_UNCHANGED)
    if color is None or labels is None:
        raise MessageError(f"the pictures of camera '{msg.camera}' cannot be decoded")
    return values.SceneView(camera, pose_from_msg(msg.pose), np.ascontiguousarray(color[:, :, ::-1]), labels)


def health_to_msg(health: values.CameraHealth) -> CameraHealth:
    return CameraHealth(
        camera=health.camera,
        used=bool(health.used),
        age=float(health.age_s),
        valid_fraction=float(health.valid_fraction),
        note=health.note,
    )


def health_from_msg(msg: CameraHealth) -> values.CameraHealth:
    return values.CameraHealth(msg.camera, msg.used, msg.age, msg.valid_fraction, msg.note)


def scene_to_msg(scene: values.Scene, with_views: bool = True) -> Scene:
    """``with_views=False`` leaves the pictures out, for requests to stages that decide nothing from them."""
    stamp = time_msg(scene.stamp_s)
    msg = Scene()
    msg.header.stamp = stamp
    msg.header.frame_id = BASE_FRAME
    msg.instances = [instance_to_msg(instance, stamp) for instance in scene.instances]
    msg.occupancy = grid_to_msg(scene.occupancy)
    msg.heightmaps = [heightmap_to_msg(tote, heightmap) for tote, heightmap in scene.heightmaps.items()]
    msg.views = [view_to_msg(view, stamp) for view in scene.views] if with_views else []
    msg.cameras = [health_to_msg(health) for health in scene.cameras]
    msg.timings_ms = named_values_to_msg(scene.timings_ms)
    return msg


def scene_from_msg(msg: Scene) -> values.Scene:
    """Raises MessageError when a part of it cannot be used or the frame is not base_link."""
    if msg.header.frame_id != BASE_FRAME:
        raise MessageError(f"a scene must be in '{BASE_FRAME}', got frame '{msg.header.frame_id}'")
    return values.Scene(
        stamp_s=seconds(msg.header.stamp),
        instances=tuple(instance_from_msg(instance) for instance in msg.instances),
        occupancy=grid_from_msg(msg.occupancy),
        heightmaps={heightmap.tote: heightmap_from_msg(heightmap) for heightmap in msg.heightmaps},
        views=tuple(view_from_msg(view) for view in msg.views),
        cameras=tuple(health_from_msg(health) for health in msg.cameras),
        timings_ms=named_values_from_msg(msg.timings_ms),
    )
