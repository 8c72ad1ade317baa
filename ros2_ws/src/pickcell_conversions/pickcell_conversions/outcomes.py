"""Outcomes and named numbers to messages and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pickcell_interfaces.msg import ManifestLine, NamedValue
from pickcell_interfaces.msg import Outcome as OutcomeMsg

from pickcell.outcome import CODES, Code, Outcome

T = TypeVar("T")


def code_msg(code: Code, text: str = "") -> OutcomeMsg:
    """A code with its sentence (``text``, or the code's own) and what the cell does about it."""
    info = CODES[code]
    return OutcomeMsg(
        code=code.value,
        text=text or info.sentence,
        recovery=info.recovery.value,
        resume=info.resume.value if info.resume else "",
    )


def outcome_to_msg(outcome: Outcome[Any]) -> OutcomeMsg:
    """The outcome without its value."""
    return code_msg(outcome.code, outcome.text)


def code_from_msg(msg: OutcomeMsg) -> Code:
    """The code; one that this version does not know counts as INTERNAL_ERROR, never as success."""
    try:
        return Code(msg.code)
    except ValueError:
        return Code.INTERNAL_ERROR


def outcome_from_msg(msg: OutcomeMsg, value: T | None = None) -> Outcome[T]:
    """The outcome with ``value`` as its value. An unknown code becomes INTERNAL_ERROR and is named in the text."""
    code = code_from_msg(msg)
    text = msg.text
    if code is Code.INTERNAL_ERROR and msg.code != code.value:
        text = f"{CODES[code].sentence} Outcome code '{msg.code}' is not known here. {msg.text}".strip()
    return Outcome(code, text or CODES[code].sentence, value)


def named_values_to_msg(values: Mapping[str, float]) -> list[NamedValue]:
    return [NamedValue(name=name, value=float(value)) for name, value in values.items()]


def named_values_from_msg(msgs: Iterable[NamedValue]) -> dict[str, float]:
    return {msg.name: msg.value for msg in msgs}


def manifest_to_msg(manifest: Mapping[str, int]) -> list[ManifestLine]:
    """``manifest``: SKU -> pieces."""
    return [ManifestLine(sku=sku, count=count) for sku, count in manifest.items()]


def manifest_from_msg(lines: Iterable[ManifestLine]) -> Outcome[dict[str, int]]:
    """SKU -> pieces, from untrusted input: ORDER_MALFORMED for an empty or repeated SKU or a negative count."""
    manifest: dict[str, int] = {}
    for i, line in enumerate(lines):
        if not line.sku.strip():
            return Outcome.failure(Code.ORDER_MALFORMED, f"Manifest line {i}: 'sku' is empty.")
        if line.count < 0:
            return Outcome.failure(Code.ORDER_MALFORMED, f"Manifest line {i}: 'count' must be >= 0, got {line.count}.")
        if line.sku.strip() in manifest:
            return Outcome.failure(Code.ORDER_MALFORMED, f"Manifest line {i}: SKU '{line.sku}' stands there twice.")
        manifest[line.sku.strip()] = int(line.count)
    return Outcome.success(manifest)
