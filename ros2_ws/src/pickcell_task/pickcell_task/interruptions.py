"""Why the running pick must not go on, as far as the task node knows it: its time is over, or it has stood still too long.

Each reason is told once. What follows it is recovery (putting the item back, going home), which needs the same arm and must
not be stopped for the same reason again.
"""

from __future__ import annotations

from collections.abc import Callable

from pickcell.outcome import Code, Outcome, Stage

BEFORE_THE_HOLD = (Stage.CHOOSE, Stage.APPROACH, Stage.GRASP)
"""Stages that trust a look at the totes and hold nothing yet."""


class Interruptions:
    """Of one pick after another. Only for the thread that picks."""

    def __init__(self, now_s: Callable[[], float], scene_keeps_s: float) -> None:
        """``now_s``: cell time; ``scene_keeps_s``: how long a look at the totes is trusted while the cell stands still."""
        self._now_s = now_s
        self._scene_keeps_s = scene_keeps_s
        self._deadline_s: float | None = None
        self._look_again = ""

    def begin_pick(self, timeout_s: float) -> None:
        """``timeout_s``: longest cell time of the pick, 0 for no limit."""
        self._deadline_s = self._now_s() + timeout_s if timeout_s > 0 else None
        self._look_again = ""

    def begin_attempt(self) -> None:
        """The totes are about to be looked at."""
        self._look_again = ""

    def end_pick(self) -> None:
        self._deadline_s, self._look_again = None, ""

    def stood_still(self, stage: Stage, paused_s: float) -> None:
        """The cell was paused for ``paused_s`` before ``stage``: that time does not count, but people may reach in."""
        if self._deadline_s is not None:
            self._deadline_s += paused_s
        if stage in BEFORE_THE_HOLD and paused_s > self._scene_keeps_s:
            self._look_again = f"The cell was paused for {paused_s:.0f} s on the way to the item: it looks again."

    def verdict(self) -> Outcome[None]:
        """TIMEOUT, or PAUSED after a pause, each once; success otherwise."""
        if self._deadline_s is not None and self._now_s() > self._deadline_s:
            self._deadline_s = None
            return Outcome.failure(Code.TIMEOUT, "The time given for this pick is over.")
        if self._look_again:
            text, self._look_again = self._look_again, ""
            return Outcome(Code.PAUSED, text)
        return Outcome.success(None)
