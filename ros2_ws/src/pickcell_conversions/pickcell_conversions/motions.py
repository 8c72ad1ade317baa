"""Held items and motion plans to messages and back. Poses and joints are exact, times rounded to nanoseconds."""

from __future__ import annotations

from pickcell_interfaces.msg import ApproachPlan, HeldItem, PlacePlan, TriedGrasp

from pickcell import values
from pickcell_conversions.drivers import MessageError, time_msg, trajectory_from_msg, trajectory_to_msg
from pickcell_conversions.geometry import pose_from_msg, pose_to_msg
from pickcell_conversions.grasps import candidate_from_msg, candidate_to_msg, tool_from_msg
from pickcell_conversions.scenes import shape_from_msg, shape_to_msg


def held_to_msg(held: values.HeldItem) -> HeldItem:
    return HeldItem(
        tool=held.tool.value,
        shape=shape_to_msg(held.shape, time_msg(0.0)),
        tcp_at_grasp=pose_to_msg(held.X_base_tcp_at_grasp),
        mass=float(held.mass_kg),
        max_acceleration=float(held.max_acceleration_mps2),
    )


def held_from_msg(msg: HeldItem) -> values.HeldItem:
    """Raises MessageError for an unknown tool, or a mass or acceleration that is not a positive number."""
    if not 0 < msg.mass < float("inf") or not 0 < msg.max_acceleration < float("inf"):
        raise MessageError(f"a held item needs mass and acceleration > 0, got {msg.mass} kg, {msg.max_acceleration} m/s^2")
    return values.HeldItem(
        tool_from_msg(msg.tool),
        shape_from_msg(msg.shape),
        pose_from_msg(msg.tcp_at_grasp),
        msg.mass,
        msg.max_acceleration,
    )


def approach_to_msg(plan: values.ApproachPlan) -> ApproachPlan:
    return ApproachPlan(
        candidate=candidate_to_msg(plan.candidate),
        index=int(plan.index),
        approach=trajectory_to_msg(plan.approach),
        contact=trajectory_to_msg(plan.contact),
        lift=trajectory_to_msg(plan.lift),
        tried=[TriedGrasp(index=int(index), reason=reason) for index, reason in plan.tried],
    )


def approach_from_msg(msg: ApproachPlan) -> values.ApproachPlan:
    return values.ApproachPlan(
        candidate_from_msg(msg.candidate),
        int(msg.index),
        trajectory_from_msg(msg.approach),
        trajectory_from_msg(msg.contact),
        trajectory_from_msg(msg.lift),
        tuple((int(tried.index), tried.reason) for tried in msg.tried),
    )


def place_to_msg(plan: values.PlacePlan) -> PlacePlan:
    return PlacePlan(
        tote=plan.tote,
        tcp_at_release=pose_to_msg(plan.X_base_tcp),
        transfer=trajectory_to_msg(plan.transfer),
        lower=trajectory_to_msg(plan.lower),
        retreat=trajectory_to_msg(plan.retreat),
    )


def place_from_msg(msg: PlacePlan) -> values.PlacePlan:
    return values.PlacePlan(
        msg.tote,
        pose_from_msg(msg.tcp_at_release),
        trajectory_from_msg(msg.transfer),
        trajectory_from_msg(msg.lower),
        trajectory_from_msg(msg.retreat),
    )
