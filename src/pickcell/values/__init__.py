"""Values that pass between stages: frozen, checked, in SI units, poses and clouds in ``base_link``."""

from pickcell.values.camera import CameraModel, RgbdFrame
from pickcell.values.grasp import GraspCandidate, GraspDecision, Tool
from pickcell.values.item import Sku
from pickcell.values.plan import ApproachPlan, HeldItem, PlacePlan
from pickcell.values.robot import JawState, JointState, JointTrajectory, RobotReading, Wrench
from pickcell.values.scene import (
    BASE_FRAME,
    IMAGINED_S,
    CameraHealth,
    HeightMap,
    Identity,
    Instance,
    PointCloud,
    Scene,
    SceneView,
    ShapeEstimate,
    Voxel,
    VoxelGrid,
)
from pickcell.values.watched import Track, TrackState, Watched

__all__ = [
    "BASE_FRAME",
    "IMAGINED_S",
    "ApproachPlan",
    "CameraHealth",
    "CameraModel",
    "GraspCandidate",
    "GraspDecision",
    "HeightMap",
    "HeldItem",
    "Identity",
    "Instance",
    "JawState",
    "JointState",
    "JointTrajectory",
    "PlacePlan",
    "PointCloud",
    "RgbdFrame",
    "RobotReading",
    "Scene",
    "SceneView",
    "ShapeEstimate",
    "Sku",
    "Tool",
    "Track",
    "TrackState",
    "Voxel",
    "VoxelGrid",
    "Watched",
    "Wrench",
]
