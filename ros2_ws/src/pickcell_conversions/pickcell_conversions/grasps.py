"""Grasp candidates and decisions to messages and back, without loss."""

from __future__ import annotations

from collections.abc import Iterable

from pickcell_interfaces.msg import GraspCandidate, GraspDecision

from pickcell import values
from pickcell.values import Tool
from pickcell_conversions.drivers import MessageError
from pickcell_conversions.geometry import pose_from_msg, pose_to_msg
from pickcell_conversions.outcomes import named_values_from_msg, named_values_to_msg


def tool_from_msg(name: str) -> Tool:
    """Raises MessageError listing the tools there are."""
    try:
        return Tool(name)
    except ValueError:
        raise MessageError(f"tool '{name}' is not known; valid: {[tool.value for tool in Tool]}") from None


def candidate_to_msg(candidate: values.GraspCandidate) -> GraspCandidate:
    return GraspCandidate(
        tool=candidate.tool.value,
        instance_id=int(candidate.instance_id),
        pose=pose_to_msg(candidate.X_base_tcp),
        quality=float(candidate.quality),
        width=float(candidate.width_m),
        opening=float(candidate.opening_m),
        force=float(candidate.force_n),
        vacuum=float(candidate.vacuum_pa),
        standoff=float(candidate.standoff_m),
        max_acceleration=float(candidate.max_acceleration_mps2),
        cost=float(candidate.cost_s),
        scores=named_values_to_msg(candidate.scores),
        rejection=candidate.rejection,
    )


def candidate_from_msg(msg: GraspCandidate) -> values.GraspCandidate:
    """Raises MessageError for an unknown tool or a pose that is none."""
    return values.GraspCandidate(
        tool=tool_from_msg(msg.tool),
        instance_id=int(msg.instance_id),
        X_base_tcp=pose_from_msg(msg.pose),
        quality=msg.quality,
        width_m=msg.width,
        opening_m=msg.opening,
        force_n=msg.force,
        vacuum_pa=msg.vacuum,
        standoff_m=msg.standoff,
        max_acceleration_mps2=msg.max_acceleration,
        cost_s=msg.cost,
        scores=named_values_from_msg(msg.scores),
        rejection=msg.rejection,
    )


def candidates_to_msg(candidates: Iterable[values.GraspCandidate]) -> list[GraspCandidate]:
    return [candidate_to_msg(candidate) for candidate in candidates]


def candidates_from_msg(msgs: Iterable[GraspCandidate]) -> tuple[values.GraspCandidate, ...]:
    return tuple(candidate_from_msg(msg) for msg in msgs)


def decision_to_msg(decision: values.GraspDecision) -> GraspDecision:
    return GraspDecision(
        ranked=candidates_to_msg(decision.ranked),
        rejected=candidates_to_msg(decision.rejected),
        explanation=decision.explanation,
    )


def decision_from_msg(msg: GraspDecision) -> values.GraspDecision:
    return values.GraspDecision(candidates_from_msg(msg.ranked), candidates_from_msg(msg.rejected), msg.explanation)
