"""Keeps a fault in one callback from ending the node: while it lives, the arm can be stopped and operators are told."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable
from typing import Any

from pickcell.outcome import Code
from pickcell_conversions.outcomes import code_msg

Log = Callable[[str], Any]
"""Takes the traceback, such as ``node.get_logger().error``."""


def guarded(log: Log, callback: Callable[..., None]) -> Callable[..., None]:
    """``callback``, with an exception logged instead of raised."""

    @functools.wraps(callback)
    def call(*args: Any) -> None:
        try:
            callback(*args)
        except Exception:
            log(traceback.format_exc())

    return call


def guarded_service(log: Log, handler: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """``handler`` of a service with an ``outcome``: an exception is logged and answered with INTERNAL_ERROR."""

    @functools.wraps(handler)
    def serve(request: Any, response: Any) -> Any:
        try:
            return handler(request, response)
        except Exception as error:
            log(traceback.format_exc())
            response.outcome = code_msg(Code.INTERNAL_ERROR, f"{type(error).__name__}: {error}")
            return response

    return serve
