"""Parameters as one dataclass per node, without defaults: a key missing from the file ends the node at its start."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar, get_type_hints

from rclpy.exceptions import ParameterUninitializedException
from rclpy.node import Node
from rclpy.parameter import Parameter

T = TypeVar("T")

_TYPES = {
    bool: Parameter.Type.BOOL,
    int: Parameter.Type.INTEGER,
    float: Parameter.Type.DOUBLE,
    str: Parameter.Type.STRING,
}


class ParameterError(ValueError):
    """Parameters that cannot be used; the text names every wrong key and what is expected."""


def read_parameters(node: Node, cls: type[T]) -> T:
    """Declare a parameter per field of the dataclass ``cls`` (bool, int, float or str) and return the values.

    Raises ParameterError naming all keys that are not set, or what ``cls`` itself says about a value (its ValueError).
    """
    values: dict[str, Any] = {}
    missing: list[str] = []
    hints = get_type_hints(cls)
    for field in fields(cls):  # type: ignore[arg-type]
        try:
            node.declare_parameter(field.name, _TYPES[hints[field.name]])
            values[field.name] = node.get_parameter(field.name).value
        except ParameterUninitializedException:
            missing.append(field.name)
        except Exception as error:  # rclpy has several for a value of the wrong type
            raise ParameterError(f"parameter '{field.name}': {error}") from error
    if missing:
        name = node.get_fully_qualified_name()
        raise ParameterError(f"{name} needs the parameters {missing}: see config/{node.get_name()}.param.yaml")
    try:
        return cls(**values)
    except ValueError as error:
        raise ParameterError(f"{node.get_fully_qualified_name()}: {error}") from error
