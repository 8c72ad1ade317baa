"""An action client for requests from a thread that is not the executor's."""

from __future__ import annotations

import threading
from typing import Any

import rclpy.action
from rclpy.action.client import ClientGoalHandle
from rclpy.task import Future


class ThreadedActionClient(rclpy.action.ActionClient):
    """:class:`rclpy.action.ActionClient`, whose futures always complete.

    rclpy sends a request first and registers its future afterwards. When the executor's thread takes the answer in between,
    as happens on busy cores, the answer is thrown away ("Ignoring unexpected goal response") and the future never completes:
    https://github.com/ros2/rclpy/issues/1123. Here, answers wait until a request that is being sent is registered.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._sending = threading.RLock()  # first: the executor may call as soon as the client is part of the node
        super().__init__(*args, **kwargs)

    def send_goal_async(self, *args: Any, **kwargs: Any) -> Future:
        with self._sending:
            return super().send_goal_async(*args, **kwargs)

    def _get_result_async(self, goal_handle: ClientGoalHandle) -> Future:
        with self._sending:
            return super()._get_result_async(goal_handle)

    def _cancel_goal_async(self, goal_handle: ClientGoalHandle) -> Future:
        with self._sending:
            return super()._cancel_goal_async(goal_handle)

    async def execute(self, taken_data: Any) -> None:
        with self._sending:  # whatever was sent before this answer came is registered now
            pass
        await super().execute(taken_data)
