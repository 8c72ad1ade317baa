"""Services of stage nodes: a handler returns an outcome, whatever goes wrong becomes one, no request kills a node."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from typing import Any

from rclpy.node import Node

from pickcell.outcome import Code, Outcome
from pickcell_conversions.drivers import MessageError
from pickcell_conversions.outcomes import outcome_to_msg
from pickcell_node.heartbeat import HeartbeatPublisher

Handler = Callable[[Any, Any], Outcome[Any]]
"""Takes request and response, fills the response, and returns how it ended."""


def serve(node: Node, heartbeat: HeartbeatPublisher, service: Any, name: str, handler: Handler) -> None:
    """Offer ``name``; the handler's outcome goes into ``response.outcome``, that of a broken request or a bug as well."""

    def answer(request: Any, response: Any) -> Any:
        start = time.perf_counter()
        with heartbeat.working():
            try:
                outcome = handler(request, response)
            except MessageError as error:
                outcome, response = _broken(f"{name}: the request cannot be used: {error}"), type(response)()
            except Exception as error:
                node.get_logger().error(f"{name}: {traceback.format_exc()}")
                outcome, response = _broken(f"{name}: {type(error).__name__}: {error}"), type(response)()
        response.outcome = outcome_to_msg(outcome)
        took_ms = 1e3 * (time.perf_counter() - start)
        node.get_logger().info(f"{name}: {outcome.code.value} in {took_ms:.0f} ms")
        return response

    node.create_service(service, name, answer)


def _broken(text: str) -> Outcome[None]:
    return Outcome.failure(Code.INTERNAL_ERROR, text)
