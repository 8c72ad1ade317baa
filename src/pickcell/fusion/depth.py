"""Per-image preparation of depth: range gate, lost edges, the robot's own pixels, and how far each pixel is trusted."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pickcell.fusion.config import FusionConfig
from pickcell.values import RgbdFrame


def prepare_depth(
    frame: RgbdFrame, config: FusionConfig, robot_spheres: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Cleaned depth (H, W) in metres, 0 where invalid, -1 on the robot, and the weight (H, W) of each pixel.

    The weight is the inverse variance of a stereo camera, whose error grows with the square of the range (Nguyen et al.
    2012, "Modeling Kinect sensor noise"), times the cosine of the incidence angle; 1 at 1 m seen head-on.
    ``robot_spheres``: (N, 4) x, y, z, radius in ``base_link``.
    """
    X = np.ascontiguousarray(frame.X_base_camera)
    k = np.array([frame.camera.fx, frame.camera.fy, frame.camera.cx, frame.camera.cy])
    depth = _gate(frame.depth_m, config.depth_min_m, config.depth_max_m)
    if len(robot_spheres):
        centres = (np.asarray(robot_spheres[:, :3]) - X[:3, 3]) @ X[:3, :3]
        _mask_spheres(depth, k, np.ascontiguousarray(centres), robot_spheres[:, 3] + config.robot_margin_m)
    return depth, _weights(depth, k)


@njit(cache=True, nogil=True)
def _gate(raw, near, far):  # type: ignore[no-untyped-def]
    """Copy of the depth with 0 for NaN, infinity and anything out of range."""
    out = np.zeros(raw.shape, np.float32)
    for v in range(raw.shape[0]):
        for u in range(raw.shape[1]):
            z = raw[v, u]
            if z > near and z < far:
                out[v, u] = z
    return out


@njit(cache=True, nogil=True)
def _mask_spheres(depth, k, centres, radii):  # type: ignore[no-untyped-def]
    """Set to -1 the pixels whose point lies in a sphere; centres in the optical frame."""
    h, w = depth.shape
    for s in range(len(radii)):
        x, y, z = centres[s]
        r = radii[s]
        if z + r < 0.05:
            continue
        near = max(z - r, 0.05)
        # pixel bounds of the sphere's bounding box, from its nearest face
        u0 = max(0, int(k[0] * min((x - r) / near, (x - r) / (z + r)) + k[2]))
        u1 = min(w - 1, int(k[0] * max((x + r) / near, (x + r) / (z + r)) + k[2]) + 1)
        v0 = max(0, int(k[1] * min((y - r) / near, (y - r) / (z + r)) + k[3]))
        v1 = min(h - 1, int(k[1] * max((y + r) / near, (y + r) / (z + r)) + k[3]) + 1)
        for v in range(v0, v1 + 1):
            for u in range(u0, u1 + 1):
                d = depth[v, u]
                if d <= 0.0:
                    continue
                dx = (u - k[2]) / k[0] * d - x
                dy = (v - k[3]) / k[1] * d - y
                if dx * dx + dy * dy + (d - z) * (d - z) < r * r:
                    depth[v, u] = -1.0


@njit(cache=True, nogil=True)
def _weights(depth, k):  # type: ignore[no-untyped-def]
    """Trust per pixel from range and incidence; 0 at jumps, where the value may lie between two surfaces."""
    h, w = depth.shape
    out = np.zeros((h, w), np.float32)
    step = 2  # normals over +-2 px, so that noise of about one part in a thousand does not tilt them
    for v in range(h):
        v_lo, v_hi = max(v - step, 0), min(v + step, h - 1)
        for u in range(w):
            z = depth[v, u]
            if z <= 0.0:
                continue
            u_lo, u_hi = max(u - step, 0), min(u + step, w - 1)
            left, right, up, down = depth[v, u_lo], depth[v, u_hi], depth[v_lo, u], depth[v_hi, u]
            base = 1.0 / (z * z * z * z)
            if left <= 0.0 or right <= 0.0 or up <= 0.0 or down <= 0.0:
                out[v, u] = 0.25 * base
                continue
            gu = (right - left) / ((u_hi - u_lo) * z / k[0])
            gv = (down - up) / ((v_hi - v_lo) * z / k[1])
            # cross product of the two image tangents: (-gu, -gv, nz), whose product with the ray (rx, ry, 1) is 1
            rx, ry = (u - k[2]) / k[0], (v - k[3]) / k[1]
            nz = 1.0 + gu * rx + gv * ry
            cos = 1.0 / np.sqrt((gu * gu + gv * gv + nz * nz) * (1.0 + rx * rx + ry * ry))
            jump = 0.01 + 5.7 * step * z / k[0]  # steeper than 80 degrees, and more than noise
            if abs(left - z) > jump or abs(right - z) > jump or abs(up - z) > jump or abs(down - z) > jump:
                out[v, u] = 0.1 * base * max(cos, 0.2)
            else:
                out[v, u] = base * max(cos, 0.1)
    return out
