"""One running goal of an action server, replaced by a newer one, as ros2_control's controllers do it.

The server's execute callback is a coroutine that waits for the goal's future; the simulator's tick completes it. Nothing
blocks, so a single-threaded executor serves everything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rclpy.action import CancelResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.task import Future


@dataclass
class RunningGoal:
    """A goal that was accepted, and what the simulator calls it."""

    handle: ServerGoalHandle
    data: Any = None
    cancel_passed_on: bool = False
    done: Future = field(default_factory=Future)

    def finish(self, end: Callable[[], None], result: Any) -> None:
        """``end``: succeed, abort or canceled of the handle."""
        if not self.done.done():
            self.done.set_result((end, result))

    def succeed(self, result: Any) -> None:
        self.finish(self.handle.succeed, result)

    def abort(self, result: Any) -> None:
        # A goal that was being cancelled cannot be aborted any more in ROS's state machine: it ends as cancelled.
        self.finish(self._abort_or_cancel, result)

    def cancel(self, result: Any) -> None:
        self.finish(self._abort_or_cancel, result)

    def _abort_or_cancel(self) -> None:
        if self.handle.is_cancel_requested:
            self.handle.canceled()
        else:
            self.handle.abort()


class GoalSlot:
    """At most one running goal. ``replaced`` makes the result of a goal that a newer one pushes out."""

    def __init__(self, replaced: Callable[[], Any]) -> None:
        self._replaced = replaced
        self._by_id: dict[bytes, RunningGoal] = {}
        self.current: RunningGoal | None = None

    def take(self, handle: ServerGoalHandle) -> RunningGoal:
        """Make ``handle`` the running goal, ending the one before it."""
        if self.current is not None:
            self.current.abort(self._replaced())
        self.current = RunningGoal(handle)
        self._by_id[bytes(handle.goal_id.uuid)] = self.current
        handle.execute()
        return self.current

    def release(self, goal: RunningGoal) -> None:
        """The goal has ended: nothing runs now, unless a newer one does."""
        if self.current is goal:
            self.current = None

    async def execute(self, handle: ServerGoalHandle) -> Any:
        """The action server's execute callback: waits for the simulator, then ends the goal with its result."""
        goal = self._by_id.pop(bytes(handle.goal_id.uuid))
        end, result = await goal.done
        end()
        return result

    @staticmethod
    def accept_cancel(_: ServerGoalHandle) -> CancelResponse:
        """Every cancel request is accepted; the tick passes it on to the simulator."""
        return CancelResponse.ACCEPT
