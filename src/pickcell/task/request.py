"""What a host or operator asks for: single picks and orders of several lines."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pickcell.outcome import Code, Outcome

MAX_QUANTITY = 100
ANY_ITEM = "*"
"""Asked for in place of a SKU: take whatever can be taken best."""


@dataclass(frozen=True)
class PickRequest:
    """One item to be taken from the source tote to the destination tote."""

    job_id: str
    sku: str
    """Or ANY_ITEM."""
    order_id: str = ""
    line: int = 0
    may_move: bool = True
    """Neighbours may be moved out of the way, as far as the cell is configured to."""
    also_wanted: frozenset[str] = frozenset()
    """SKUs that the same order still waits for: they are not put on the aside tray."""


@dataclass(frozen=True)
class OrderLine:
    sku: str
    quantity: int


@dataclass(frozen=True)
class Order:
    order_id: str
    lines: tuple[OrderLine, ...]

    @property
    def item_count(self) -> int:
        return sum(line.quantity for line in self.lines)


def check_line(sku: Any, quantity: Any, where: str) -> Outcome[OrderLine]:
    """An order line from untrusted input; ORDER_MALFORMED says which field of ``where`` is wrong and what is expected."""
    if not isinstance(sku, str) or not sku.strip():
        return Outcome.failure(Code.ORDER_MALFORMED, f"{where}: 'sku' must be a non-empty text, got {sku!r}.")
    if isinstance(quantity, float) and math.isfinite(quantity) and quantity == int(quantity):
        quantity = int(quantity)
    if isinstance(quantity, bool) or not isinstance(quantity, int) or not 1 <= quantity <= MAX_QUANTITY:
        return Outcome.failure(
            Code.ORDER_MALFORMED, f"{where}: 'quantity' must be a whole number 1..{MAX_QUANTITY}, got {quantity!r}."
        )
    return Outcome.success(OrderLine(sku.strip(), quantity))


def _line_numbers(text: str) -> dict[int, int]:
    """Line number in the file of each entry below ``lines``."""
    node = yaml.compose(text)
    if not isinstance(node, yaml.MappingNode):
        return {}
    for key, value in node.value:
        if key.value == "lines" and isinstance(value, yaml.SequenceNode):
            return {i: entry.start_mark.line + 1 for i, entry in enumerate(value.value)}
    return {}


def load_order(path: str | Path) -> Outcome[Order]:
    """Read an order file: ``order: ID`` and ``lines: [{sku: ..., quantity: ...}]``. ORDER_MALFORMED names file and line."""
    path = Path(path)
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        return Outcome.failure(Code.ORDER_MALFORMED, f"{path}: {getattr(error, 'strerror', None) or error}.")
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        return Outcome.failure(Code.ORDER_MALFORMED, f"{where}: not valid YAML ({getattr(error, 'problem', error)}).")
    if not isinstance(data, dict):
        return Outcome.failure(Code.ORDER_MALFORMED, f"{path}: expected 'order:' and 'lines:', got {type(data).__name__}.")
    unknown = sorted(set(map(str, data)) - {"order", "lines"})
    if unknown:
        return Outcome.failure(Code.ORDER_MALFORMED, f"{path}: unknown keys {unknown}; an order has 'order' and 'lines'.")
    lines = data.get("lines")
    if not isinstance(lines, list) or not lines:
        return Outcome.failure(Code.ORDER_MALFORMED, f"{path}: 'lines' must be a list of at least one entry.")
    numbers = _line_numbers(text)
    checked: list[OrderLine] = []
    for i, entry in enumerate(lines):
        where = f"{path}:{numbers.get(i, '?')}"
        if not isinstance(entry, dict) or set(entry) - {"sku", "quantity"}:
            return Outcome.failure(
                Code.ORDER_MALFORMED, f"{where}: a line has 'sku' and 'quantity' and nothing else, got {entry!r}."
            )
        line = check_line(entry.get("sku"), entry.get("quantity", 1), where)
        if not line.ok:
            return line.failed_as()
        checked.append(line.unwrap())
    return Outcome.success(Order(str(data.get("order", path.stem)), tuple(checked)))
