"""A small transform buffer: a tree of frames whose edges are known at stamps, interpolated in between.

ROS-free (:class:`TransformBuffer`) plus a listener that fills it from ``/tf`` and ``/tf_static``. It does what this project
needs of tf2: constant or stamped edges, look-up at a capture stamp, no extrapolation.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pickcell.geometry import Pose, inverse, pose_from_quat_xyzw, quat_xyzw_from_pose

if TYPE_CHECKING:
    from rclpy.node import Node


class TransformError(LookupError):
    """A look-up that cannot be answered; the text says why and what there is."""


class FrameUnknownError(TransformError):
    """A frame that has never been heard of, or one not connected to the other."""


class StampError(TransformError):
    """The frames are known, but not at that time: older than the history or newer than the newest (``too_new``)."""

    def __init__(self, text: str, too_new: bool) -> None:
        super().__init__(text)
        self.too_new = too_new


@dataclass
class _Edge:
    """Pose of a child in its parent: one constant value, or a history in rising order of stamps."""

    parent: str
    constant: Pose | None = None
    stamps: list[float] = field(default_factory=list)
    samples: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = field(default_factory=list)


class TransformBuffer:
    """Frames and how they lie to each other over the last ``history_s`` seconds. Safe to use from several threads."""

    def __init__(self, history_s: float = 10.0) -> None:
        if not history_s > 0:
            raise ValueError(f"history_s must be positive, got {history_s}")
        self._history_s = history_s
        self._edges: dict[str, _Edge] = {}
        self._changed = threading.Condition()

    def set_static(self, parent: str, child: str, X_parent_child: Pose) -> None:
        """An edge that holds for all times."""
        with self._changed:
            self._edges[child] = _Edge(parent, constant=_checked(X_parent_child))
            self._changed.notify_all()

    def set(self, parent: str, child: str, stamp_s: float, X_parent_child: Pose) -> None:
        """An edge at one time. Stamps may arrive out of order; a second value for the same stamp replaces the first.

        When time jumps back by more than the history (a simulation restarted), what was known before is dropped.
        """
        X = _checked(X_parent_child)
        sample = (X[:3, 3].copy(), quat_xyzw_from_pose(X))
        with self._changed:
            edge = self._edges.get(child)
            if edge is None or edge.constant is not None or edge.parent != parent:
                edge = self._edges[child] = _Edge(parent)
            self._insert(edge, stamp_s, sample)
            self._changed.notify_all()

    def _insert(self, edge: _Edge, stamp_s: float, sample: tuple[NDArray[np.float64], NDArray[np.float64]]) -> None:
        if edge.stamps and stamp_s < edge.stamps[-1] - self._history_s:
            edge.stamps.clear()
            edge.samples.clear()
        at = bisect_left(edge.stamps, stamp_s)
        if at < len(edge.stamps) and edge.stamps[at] == stamp_s:
            edge.samples[at] = sample
            return
        edge.stamps.insert(at, stamp_s)
        edge.samples.insert(at, sample)
        # Trimmed in bulk: dropping single samples from the front of a list would cost more than it saves.
        oldest = bisect_right(edge.stamps, edge.stamps[-1] - self._history_s) - 1
        if oldest > 64:
            del edge.stamps[:oldest], edge.samples[:oldest]

    def lookup(self, target: str, source: str, stamp_s: float) -> Pose:
        """``X_target_source`` at ``stamp_s``. Raises FrameUnknownError or StampError (both TransformError)."""
        with self._changed:
            up_target, up_source = self._chain(target), self._chain(source)
            common = next((frame for frame in up_source if frame in up_target), None)
            if common is None:
                raise FrameUnknownError(f"no connection between '{target}' and '{source}'; frames: {self._frames()}")
            X_common_source = self._to_ancestor(source, common, stamp_s)
            X_common_target = self._to_ancestor(target, common, stamp_s)
        return inverse(X_common_target) @ X_common_source

    def wait(self, target: str, source: str, stamp_s: float, timeout_s: float) -> Pose:
        """As :meth:`lookup`, but waits up to ``timeout_s`` of wall time for transforms that have not arrived yet."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                return self.lookup(target, source, stamp_s)
            except StampError as error:
                if not error.too_new or time.monotonic() >= deadline:
                    raise
            except FrameUnknownError:
                if time.monotonic() >= deadline:
                    raise
            with self._changed:
                self._changed.wait(min(0.05, max(0.0, deadline - time.monotonic())))

    def frames(self) -> tuple[str, ...]:
        """All frames heard of."""
        with self._changed:
            return self._frames()

    def _frames(self) -> tuple[str, ...]:
        return tuple(sorted(set(self._edges) | {edge.parent for edge in self._edges.values()}))

    def _chain(self, frame: str) -> list[str]:
        """``frame`` and its ancestors up to the root."""
        chain = [frame]
        while (edge := self._edges.get(chain[-1])) is not None:
            if edge.parent in chain:
                raise FrameUnknownError(f"the frames {chain} form a loop")
            chain.append(edge.parent)
        return chain

    def _to_ancestor(self, frame: str, ancestor: str, stamp_s: float) -> Pose:
        X = np.eye(4)
        while frame != ancestor:
            edge = self._edges[frame]
            X = self._at(frame, edge, stamp_s) @ X
            frame = edge.parent
        return X

    def _at(self, child: str, edge: _Edge, stamp_s: float) -> Pose:
        if edge.constant is not None:
            return edge.constant
        stamps = edge.stamps
        # A microsecond of slack: stamps travel as integers and come back as floats (0.24 us apart for epoch seconds).
        if stamp_s > stamps[-1] + 1e-6:
            raise StampError(
                f"'{child}' in '{edge.parent}' is known up to {stamps[-1]:.3f} s, asked for {stamp_s:.3f} s", too_new=True
            )
        if stamp_s < stamps[0] - 1e-6:
            raise StampError(
                f"'{child}' in '{edge.parent}' is known from {stamps[0]:.3f} s on, asked for {stamp_s:.3f} s", too_new=False
            )
        high = min(bisect_left(stamps, stamp_s), len(stamps) - 1)
        low = max(high - 1, 0)
        span = stamps[high] - stamps[low]
        ratio = 1.0 if span <= 0 else min(max((stamp_s - stamps[low]) / span, 0.0), 1.0)
        return _interpolate(edge.samples[low], edge.samples[high], ratio)


def _checked(X: Pose) -> Pose:
    X = np.asarray(X, dtype=float)
    if X.shape != (4, 4) or not np.all(np.isfinite(X)):
        raise ValueError(f"a pose must be a finite 4x4 matrix, got shape {X.shape}")
    return X


def _interpolate(
    a: tuple[NDArray[np.float64], NDArray[np.float64]], b: tuple[NDArray[np.float64], NDArray[np.float64]], ratio: float
) -> Pose:
    """Straight line for the origin, great arc for the rotation (slerp, Shoemake 1985)."""
    position = (1.0 - ratio) * a[0] + ratio * b[0]
    qa, qb = a[1], b[1]
    dot = float(qa @ qb)
    if dot < 0.0:  # q and -q are the same rotation: take the short way
        qb, dot = -qb, -dot
    angle = float(np.arccos(min(dot, 1.0)))
    if angle < 1e-6:
        quat = (1.0 - ratio) * qa + ratio * qb
    else:
        quat = (np.sin((1.0 - ratio) * angle) * qa + np.sin(ratio * angle) * qb) / np.sin(angle)
    return pose_from_quat_xyzw(position, quat / np.linalg.norm(quat))


class TransformListener:
    """Fills a buffer from ``/tf`` and ``/tf_static``. Broken transforms are logged once per frame and left out."""

    def __init__(self, node: Node, buffer: TransformBuffer) -> None:
        from rclpy.qos import DurabilityPolicy, QoSProfile

        from tf2_msgs.msg import TFMessage

        self._node = node
        self._buffer = buffer
        self._reported: set[str] = set()
        latched = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._subscriptions = [
            node.create_subscription(TFMessage, "/tf", lambda msg: self._take(msg, static=False), QoSProfile(depth=100)),
            node.create_subscription(TFMessage, "/tf_static", lambda msg: self._take(msg, static=True), latched),
        ]

    def _take(self, msg, static: bool) -> None:
        from pickcell_conversions.drivers import pose_from_transform, seconds

        for transform in msg.transforms:
            parent, child = transform.header.frame_id, transform.child_frame_id
            try:
                X = pose_from_transform(transform.transform)
                if static:
                    self._buffer.set_static(parent, child, X)
                else:
                    self._buffer.set(parent, child, seconds(transform.header.stamp), X)
            except ValueError as error:
                if child not in self._reported:
                    self._reported.add(child)
                    self._node.get_logger().error(f"transform {parent} -> {child} is left out: {error}")

    def destroy(self) -> None:
        """Stop listening."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []
