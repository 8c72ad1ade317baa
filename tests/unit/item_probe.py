"""How large a body is to what touches it: bounding boxes of PyBullet carry margins that contacts do not."""

from __future__ import annotations

import numpy as np
import pybullet as p


def collision_extents(client: int, body: int) -> np.ndarray:
    """(3,) size in metres along the body's axes as contacts feel it: how near walls can come from either side."""
    shape = p.createCollisionShape(p.GEOM_BOX, halfExtents=[1.0, 1.0, 1.0], physicsClientId=client)
    wall = p.createMultiBody(0.0, shape, physicsClientId=client)
    reach = np.zeros(3)
    for axis in range(3):
        for sign in (-1.0, 1.0):
            place = np.zeros(3)
            place[axis] = sign * 1.5  # the wall's face is half a metre from the origin
            p.resetBasePositionAndOrientation(wall, place.tolist(), [0, 0, 0, 1], physicsClientId=client)
            gaps = [point[8] for point in p.getClosestPoints(body, wall, 1.0, physicsClientId=client)]
            reach[axis] += 0.5 - min(gaps)
    p.removeBody(wall, physicsClientId=client)
    return reach
