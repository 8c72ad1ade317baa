"""Point clouds to sensor_msgs/PointCloud2 and back, without loss: bytes are copied, never converted."""

from __future__ import annotations

import sys

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from sensor_msgs.msg import PointCloud2, PointField

from pickcell.values import BASE_FRAME, PointCloud
from pickcell_conversions.drivers import MessageError

_NUMPY = {
    PointField.INT8: "i1",
    PointField.UINT8: "u1",
    PointField.INT16: "i2",
    PointField.UINT16: "u2",
    PointField.INT32: "i4",
    PointField.UINT32: "u4",
    PointField.FLOAT32: "f4",
    PointField.FLOAT64: "f8",
}
_XYZ = ("x", "y", "z")
_NORMAL = ("normal_x", "normal_y", "normal_z")


def cloud_to_msg(cloud: PointCloud, stamp: Time, confidence: NDArray[np.float32] | None = None) -> PointCloud2:
    """All fields are float32; ``rgb`` holds 0x00RRGGBB as PCL has it; ``confidence`` (N,), if given, is one more field."""
    names = (*_XYZ, *_NORMAL, "rgb") + (("confidence",) if confidence is not None else ())
    table = np.empty((len(cloud), len(names)), np.float32)
    table[:, 0:3] = cloud.points
    table[:, 3:6] = cloud.normals
    rgb = cloud.colors.astype(np.uint32)
    table[:, 6] = ((rgb[:, 0] << 16) | (rgb[:, 1] << 8) | rgb[:, 2]).view(np.float32)
    if confidence is not None:
        table[:, 7] = confidence
    msg = PointCloud2()
    msg.header.stamp = stamp
    msg.header.frame_id = BASE_FRAME
    msg.height, msg.width = 1, len(cloud)
    msg.fields = [PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1) for i, name in enumerate(names)]
    msg.is_bigendian = sys.byteorder == "big"
    msg.point_step = 4 * len(names)
    msg.row_step = msg.point_step * msg.width
    msg.is_dense = True
    msg.data = table.tobytes()
    return msg


def cloud_from_msg(msg: PointCloud2) -> tuple[PointCloud, NDArray[np.float32] | None]:
    """The cloud and its field ``confidence`` (None when it has none), whatever the order of the fields.

    Raises MessageError when x, y, z, a normal or rgb is missing, or the data is too short.
    """
    n = msg.width * msg.height
    fields = {field.name: field for field in msg.fields}
    missing = [name for name in (*_XYZ, *_NORMAL, "rgb") if name not in fields]
    if missing:
        raise MessageError(f"point cloud lacks the fields {missing}; it has {sorted(fields)}")
    if msg.row_step < msg.width * msg.point_step or len(msg.data) < msg.row_step * msg.height:
        raise MessageError(f"point cloud of {n} points of {msg.point_step} bytes has only {len(msg.data)} bytes")
    order = ">" if msg.is_bigendian else "<"
    # rgb is declared float32 by PCL and uint32 by some; its bytes are what counts
    formats = [order + ("u4" if name == "rgb" else _NUMPY[field.datatype]) for name, field in fields.items()]
    try:
        dtype = np.dtype(
            {
                "names": list(fields),
                "formats": formats,
                "offsets": [field.offset for field in fields.values()],
                "itemsize": msg.point_step,
            }
        )
    except ValueError as error:
        raise MessageError(f"point cloud fields do not fit into {msg.point_step} bytes: {error}") from error
    rows = np.frombuffer(msg.data, np.uint8, msg.row_step * msg.height).reshape(msg.height, msg.row_step)
    table = np.ascontiguousarray(rows[:, : msg.width * msg.point_step]).reshape(-1).view(dtype) if n else np.empty(0, dtype)

    def stack(names: tuple[str, ...]) -> NDArray[np.float32]:
        return np.stack([table[name] for name in names], axis=1).astype(np.float32)

    rgb = table["rgb"].astype(np.uint32)
    colors = np.stack([(rgb >> 16) & 255, (rgb >> 8) & 255, rgb & 255], axis=1).astype(np.uint8)
    confidence = table["confidence"].astype(np.float32) if "confidence" in fields else None
    return PointCloud(stack(_XYZ), stack(_NORMAL), colors), confidence
