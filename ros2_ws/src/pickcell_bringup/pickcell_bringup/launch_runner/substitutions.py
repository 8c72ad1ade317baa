"""Substitutions in launch files: ``$(var x)`` and friends inside texts.

Supported: ``$(var name [default])``, ``$(env NAME [default])``, ``$(find-pkg-share pkg)``, ``$(dirname)`` and
``$(eval expression)`` for plain arithmetic, comparisons and logic. Others are errors.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SUPPORTED = ("var", "env", "find-pkg-share", "dirname", "eval")


class SubstitutionError(ValueError):
    """A substitution that cannot be parsed or resolved; the caller adds file and line."""


@dataclass(frozen=True)
class Call:
    """``$(name argument ...)``; each argument is itself a list of pieces."""

    name: str
    arguments: tuple[tuple[Piece, ...], ...]


Piece = str | Call


@dataclass(frozen=True)
class Scope:
    """What substitutions see: launch configurations, environment, the file's folder, and the ament index."""

    variables: Mapping[str, str]
    environment: Mapping[str, str]
    folder: Path
    share_of: Callable[[str], Path]


def parse(text: str) -> tuple[Piece, ...]:
    """Split ``text`` into literal pieces and calls. A backslash takes the next character literally."""
    pieces, end = _parse_until(text, 0, stop="")
    assert end == len(text)
    return pieces


def has_call(pieces: tuple[Piece, ...]) -> bool:
    """Whether anything is left to resolve."""
    return any(isinstance(p, Call) for p in pieces)


def perform(pieces: tuple[Piece, ...], scope: Scope) -> str:
    """The final text. Raises SubstitutionError."""
    return "".join(p if isinstance(p, str) else _call(p, scope) for p in pieces)


def expand(text: str, scope: Scope) -> str:
    """Parse and perform."""
    return perform(parse(text), scope)


def _parse_until(text: str, at: int, stop: str) -> tuple[tuple[Piece, ...], int]:
    """Read pieces from ``at`` until a character of ``stop`` (not consumed) or, with no stop, the end."""
    pieces: list[Piece] = []
    literal = ""
    while at < len(text) and text[at] not in stop:
        if text[at] == "\\" and at + 1 < len(text):
            literal += text[at + 1]
            at += 2
        elif text.startswith("$(", at):
            if literal:
                pieces.append(literal)
                literal = ""
            call, at = _parse_call(text, at + 2)
            pieces.append(call)
        else:
            literal += text[at]
            at += 1
    if literal or not pieces:
        pieces.append(literal)
    return tuple(pieces), at


def _parse_call(text: str, at: int) -> tuple[Call, int]:
    name = re.compile(r"[A-Za-z][\w-]*").match(text, at)
    if name is None:
        raise SubstitutionError(f"'$(' must be followed by a name in {text!r}")
    if name.group() not in SUPPORTED:
        choices = ", ".join(f"$({s})" for s in SUPPORTED)
        raise SubstitutionError(f"$({name.group()}) is not supported; use one of: {choices}")
    at = name.end()
    arguments: list[tuple[Piece, ...]] = []
    while at < len(text) and text[at] == " ":
        at += 1
        if at < len(text) and text[at] in "'\"":
            quote = text[at]
            argument, at = _parse_until(text, at + 1, stop=quote)
            if at >= len(text):
                raise SubstitutionError(f"quote {quote} is not closed in {text!r}")
            at += 1
        else:
            argument, at = _parse_until(text, at, stop=" )")
        arguments.append(argument)
    if at >= len(text) or text[at] != ")":
        raise SubstitutionError(f"$({name.group()} is not closed in {text!r}")
    return Call(name.group(), tuple(arguments)), at + 1


def _call(call: Call, scope: Scope) -> str:
    arguments = [perform(a, scope) for a in call.arguments]
    counts = {"var": (1, 2), "env": (1, 2), "find-pkg-share": (1, 1), "dirname": (0, 0), "eval": (1, 99)}
    low, high = counts[call.name]
    if not low <= len(arguments) <= high:
        raise SubstitutionError(f"$({call.name}) takes {low} to {high} arguments, {len(arguments)} given")
    if call.name == "dirname":
        return str(scope.folder)
    if call.name == "find-pkg-share":
        return str(scope.share_of(arguments[0]))
    if call.name == "eval":
        return evaluate(" ".join(arguments))
    table, kind = (scope.variables, "launch argument") if call.name == "var" else (scope.environment, "environment variable")
    if arguments[0] in table:
        return table[arguments[0]]
    if len(arguments) == 2:
        return arguments[1]
    raise SubstitutionError(f"{kind} '{arguments[0]}' is not set; known: {', '.join(sorted(scope.variables)) or 'none'}")


_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.USub: operator.neg, ast.UAdd: operator.pos,
    ast.Not: operator.not_, ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le,
    ast.Gt: operator.gt, ast.GtE: operator.ge, ast.In: lambda a, b: a in b, ast.NotIn: lambda a, b: a not in b,
}  # fmt: skip


def evaluate(expression: str) -> str:
    """Value of a simple Python expression as text: literals, arithmetic, comparisons, and/or/not, ``a if c else b``."""
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except SyntaxError as problem:
        raise SubstitutionError(f"$(eval): {problem.msg} in {expression!r}") from problem
    try:
        return str(_value(tree.body, expression))
    except (ArithmeticError, TypeError) as problem:
        raise SubstitutionError(f"$(eval): {problem} in {expression!r}") from problem


def _value(node: ast.AST, expression: str) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_value(e, expression) for e in node.elts]
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_value(node.left, expression), _value(node.right, expression))
    if isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_value(node.operand, expression))
    if isinstance(node, ast.BoolOp):
        value: Any = isinstance(node.op, ast.And)
        for operand in node.values:
            value = _value(operand, expression)
            if bool(value) != isinstance(node.op, ast.And):
                break
        return value
    if isinstance(node, ast.Compare):
        left = _value(node.left, expression)
        for op, right_node in zip(node.ops, node.comparators):
            right = _value(right_node, expression)
            if type(op) not in _OPERATORS:
                raise SubstitutionError(f"$(eval): this comparison is not supported in {expression!r}")
            if not _OPERATORS[type(op)](left, right):
                return False
            left = right
        return True
    if isinstance(node, ast.IfExp):
        return _value(node.body if _value(node.test, expression) else node.orelse, expression)
    if isinstance(node, ast.Attribute) and ast.unparse(node) == "math.pi":
        return math.pi
    raise SubstitutionError(f"$(eval): '{ast.unparse(node)}' is not supported; only literals, arithmetic and logic are")


def truth(text: str) -> bool:
    """The value of a condition. Raises SubstitutionError for anything but true, false, 1 and 0."""
    word = text.strip().lower()
    if word in ("true", "1"):
        return True
    if word in ("false", "0"):
        return False
    raise SubstitutionError(f"a condition must be true, false, 1 or 0, not {text!r}")
