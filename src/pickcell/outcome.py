"""Failure as data: every stage ends in an :class:`Outcome` with a typed :class:`Code`.

Expected failures (an empty tote, a broken seal, a blocked path) are values. Exceptions are kept for a caller's
mistakes. Each code names what to do about it and the stage from which the pick resumes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

T = TypeVar("T")
U = TypeVar("U")


class Stage(str, Enum):
    """The stages of one pick, in order."""

    OBSERVE = "observe"
    CHOOSE = "choose"
    CLEAR = "clear"
    APPROACH = "approach"
    GRASP = "grasp"
    LIFT = "lift"
    VERIFY = "verify"
    TRANSFER = "transfer"
    PLACE = "place"
    VERIFY_PLACE = "verify_place"
    RECORD = "record"


class Recovery(str, Enum):
    """What the cell does after a failure, before it asks a person."""

    NONE = "none"  # nothing to recover from
    OBSERVE_AGAIN = "observe_again"  # look again and choose anew
    NEXT_GRASP = "next_grasp"  # take the next ranked grasp
    RETURN_ITEM = "return_item"  # put what is held back into the source tote, then look again
    SKIP_ITEM = "skip_item"  # report the line and go on with the next one
    WAIT = "wait"  # the pick ends where it is; the next one works once the cause has gone away
    ASK_PERSON = "ask_person"  # stop and raise an alert; `reset` continues


class Code(str, Enum):
    """Why a stage ended as it did. Branch on the code, show the text."""

    OK = "ok"
    # perception
    CAMERA_MISSING = "camera_missing"
    CAMERA_STALE = "camera_stale"
    DEPTH_INVALID = "depth_invalid"
    SCENE_EMPTY = "scene_empty"
    # which item
    ITEM_UNKNOWN = "item_unknown"
    ITEM_NOT_IN_MANIFEST = "item_not_in_manifest"
    ITEM_NOT_FOUND = "item_not_found"
    ITEM_TOO_HEAVY = "item_too_heavy"
    # grasp choice
    NO_GRASP_FOUND = "no_grasp_found"
    # motion
    UNREACHABLE = "unreachable"
    APPROACH_BLOCKED = "approach_blocked"
    NO_PATH = "no_path"
    MOTION_ABORTED = "motion_aborted"
    UNEXPECTED_CONTACT = "unexpected_contact"
    # seen while moving
    TARGET_MOVED = "target_moved"
    PATH_BLOCKED = "path_blocked"
    # the hold
    MISSED = "missed"
    SEAL_NOT_MADE = "seal_not_made"
    SEAL_LOST = "seal_lost"
    SLIPPED = "slipped"
    DROPPED = "dropped"
    DOUBLE_PICK = "double_pick"
    ITEM_MISMATCH = "item_mismatch"
    # place
    PLACE_BLOCKED = "place_blocked"
    PLACE_UNVERIFIED = "place_unverified"
    # calibrating the cameras
    BOARD_NOT_SEEN = "board_not_seen"
    CALIBRATION_REFUSED = "calibration_refused"
    # the cell
    BUSY = "busy"
    CANCELLED = "cancelled"
    PAUSED = "paused"
    ESTOP = "estop"
    PROTECTIVE_STOP = "protective_stop"
    NODE_LOST = "node_lost"
    TIMEOUT = "timeout"
    ORDER_MALFORMED = "order_malformed"
    LEDGER_UNWRITABLE = "ledger_unwritable"
    NEEDS_RESET = "needs_reset"
    INTERNAL_ERROR = "internal_error"


@dataclass(frozen=True)
class CodeInfo:
    """What a code means to the cell: its recovery, the stage to resume from, and a sentence for a person."""

    recovery: Recovery
    resume: Stage | None
    sentence: str


CODES: dict[Code, CodeInfo] = {
    Code.OK: CodeInfo(Recovery.NONE, None, "Done."),
    Code.CAMERA_MISSING: CodeInfo(
        Recovery.WAIT, Stage.OBSERVE, "A camera has never delivered an image: check its driver and cable."
    ),
    Code.CAMERA_STALE: CodeInfo(
        Recovery.WAIT, Stage.OBSERVE, "A camera has stopped delivering images: check its driver and cable."
    ),
    Code.DEPTH_INVALID: CodeInfo(
        Recovery.OBSERVE_AGAIN, Stage.OBSERVE, "Too little valid depth in the images to see the tote."
    ),
    Code.SCENE_EMPTY: CodeInfo(Recovery.SKIP_ITEM, Stage.OBSERVE, "The source tote looks empty."),
    Code.ITEM_UNKNOWN: CodeInfo(Recovery.SKIP_ITEM, None, "This SKU is not in the catalogue."),
    Code.ITEM_NOT_IN_MANIFEST: CodeInfo(Recovery.SKIP_ITEM, None, "The manifest says that the tote does not hold this SKU."),
    Code.ITEM_NOT_FOUND: CodeInfo(
        Recovery.OBSERVE_AGAIN, Stage.OBSERVE, "The manifest lists the item, but no instance in the tote looks like it."
    ),
    Code.ITEM_TOO_HEAVY: CodeInfo(Recovery.SKIP_ITEM, None, "The item is heavier than the hand may lift."),
    Code.NO_GRASP_FOUND: CodeInfo(Recovery.OBSERVE_AGAIN, Stage.OBSERVE, "No grasp on this item passes all checks."),
    Code.UNREACHABLE: CodeInfo(Recovery.NEXT_GRASP, Stage.CHOOSE, "The arm cannot reach the pose within its joint limits."),
    Code.APPROACH_BLOCKED: CodeInfo(Recovery.NEXT_GRASP, Stage.CHOOSE, "Something stands between the hand and the grasp."),
    Code.NO_PATH: CodeInfo(Recovery.NEXT_GRASP, Stage.CHOOSE, "No collision-free path was found in time."),
    Code.MOTION_ABORTED: CodeInfo(Recovery.OBSERVE_AGAIN, Stage.OBSERVE, "The arm controller did not finish the motion."),
    Code.UNEXPECTED_CONTACT: CodeInfo(
        Recovery.OBSERVE_AGAIN, Stage.OBSERVE, "The wrist felt a force where none was expected."
    ),
    Code.TARGET_MOVED: CodeInfo(
        Recovery.OBSERVE_AGAIN, Stage.OBSERVE, "The item was seen to move while the hand was on its way to it."
    ),
    Code.PATH_BLOCKED: CodeInfo(Recovery.OBSERVE_AGAIN, Stage.OBSERVE, "Something was seen to come into the arm's way."),
    Code.MISSED: CodeInfo(Recovery.OBSERVE_AGAIN, Stage.OBSERVE, "The hand closed on nothing."),
    Code.SEAL_NOT_MADE: CodeInfo(Recovery.NEXT_GRASP, Stage.OBSERVE, "The cup did not seal on the surface."),
    Code.SEAL_LOST: CodeInfo(Recovery.OBSERVE_AGAIN, Stage.OBSERVE, "The seal broke while the item was held."),
    Code.SLIPPED: CodeInfo(Recovery.RETURN_ITEM, Stage.OBSERVE, "The item moved in the hand."),
    Code.DROPPED: CodeInfo(Recovery.OBSERVE_AGAIN, Stage.OBSERVE, "The item left the hand before it was placed."),
    Code.DOUBLE_PICK: CodeInfo(Recovery.RETURN_ITEM, Stage.OBSERVE, "More than the wanted item was lifted."),
    Code.ITEM_MISMATCH: CodeInfo(Recovery.RETURN_ITEM, Stage.OBSERVE, "The lifted item is not the one asked for."),
    Code.PLACE_BLOCKED: CodeInfo(Recovery.ASK_PERSON, Stage.TRANSFER, "No free, reachable place in the destination tote."),
    Code.PLACE_UNVERIFIED: CodeInfo(
        Recovery.SKIP_ITEM, None, "The item was released but could not be confirmed in the destination tote."
    ),
    Code.BOARD_NOT_SEEN: CodeInfo(Recovery.ASK_PERSON, None, "The calibration board is not seen, or too little of it."),
    Code.CALIBRATION_REFUSED: CodeInfo(
        Recovery.ASK_PERSON, None, "The pictures do not say well enough where the camera is: nothing was changed."
    ),
    Code.BUSY: CodeInfo(Recovery.WAIT, None, "The cell is busy with another job."),
    Code.CANCELLED: CodeInfo(Recovery.NONE, None, "The job was cancelled."),
    Code.PAUSED: CodeInfo(Recovery.OBSERVE_AGAIN, Stage.OBSERVE, "The cell was paused: what was planned is out of date."),
    Code.ESTOP: CodeInfo(Recovery.ASK_PERSON, Stage.OBSERVE, "The emergency stop is pressed."),
    Code.PROTECTIVE_STOP: CodeInfo(Recovery.ASK_PERSON, Stage.OBSERVE, "The arm is in protective stop."),
    Code.NODE_LOST: CodeInfo(Recovery.WAIT, Stage.OBSERVE, "A node that the pick depends on has died or stopped answering."),
    Code.TIMEOUT: CodeInfo(Recovery.OBSERVE_AGAIN, Stage.OBSERVE, "A stage took longer than it may."),
    Code.ORDER_MALFORMED: CodeInfo(Recovery.SKIP_ITEM, None, "The order cannot be read."),
    Code.LEDGER_UNWRITABLE: CodeInfo(
        Recovery.ASK_PERSON, None, "The inventory ledger cannot be written (disk full?): nothing will be moved."
    ),
    Code.NEEDS_RESET: CodeInfo(Recovery.ASK_PERSON, None, "The cell waits for a person: call `reset` when it is safe."),
    Code.INTERNAL_ERROR: CodeInfo(Recovery.ASK_PERSON, Stage.OBSERVE, "A fault in the software: see the log."),
}


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """The result of a stage: a value when ``code`` is OK, otherwise a code and a sentence that says what was wrong."""

    code: Code
    text: str
    value: T | None = None

    @property
    def ok(self) -> bool:
        return self.code is Code.OK

    @property
    def info(self) -> CodeInfo:
        return CODES[self.code]

    def unwrap(self) -> T:
        """The value of a success. Raises RuntimeError when called on a failure (a caller's mistake)."""
        if not self.ok or self.value is None:
            raise RuntimeError(f"unwrap() of a failed outcome: {self.code.value}: {self.text}")
        return self.value

    def failed_as(self) -> Outcome[U]:
        """The same failure, typed for another value."""
        if self.ok:
            raise RuntimeError("failed_as() of a success")
        return Outcome(self.code, self.text)

    @staticmethod
    def success(value: U, text: str = "") -> Outcome[U]:
        return Outcome(Code.OK, text or CODES[Code.OK].sentence, value)

    @staticmethod
    def failure(code: Code, detail: str = "") -> Outcome[U]:
        """A failure whose text is the code's sentence followed by the particulars."""
        if code is Code.OK:
            raise ValueError("a failure needs a code other than OK")
        sentence = CODES[code].sentence
        return Outcome(code, f"{sentence} {detail}".strip())
