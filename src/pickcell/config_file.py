"""Settings in YAML files, checked by pydantic models: one way of reading them, one way of saying what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

M = TypeVar("M", bound=BaseModel)

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C parser reads large files ten times faster


class Strict(BaseModel):
    """Base of settings: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def read_mapping(path: Path, what: str, error: type[ValueError], expected: str = "a mapping of keys") -> dict[str, Any]:
    """The keys of a YAML file. Raises ``error`` naming the file when it cannot be read, is no YAML, or no mapping.

    ``what``: what the file is, in words ("cell file"). ``expected``: what should be in it, for the message.
    """
    try:
        data: Any = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)
    except OSError as failure:
        raise error(f"cannot read {what} {path}: {failure.strerror}") from failure
    except (yaml.YAMLError, UnicodeDecodeError) as failure:
        raise error(f"{path} is not valid YAML: {failure}") from failure
    if not isinstance(data, dict):
        raise error(f"{path}: expected {expected}")
    return data


def checked(model: type[M], data: dict[str, Any], path: Path, what: str, error: type[ValueError]) -> M:
    """``data`` as a model. Raises ``error`` naming the file and each wrong key with what is expected."""
    try:
        return model.model_validate({str(key): value for key, value in data.items()})
    except ValidationError as failure:
        raise error(
            f"{path} is not a usable {what}:\n" + "\n".join(f"  {line}" for line in complaints(failure))
        ) from failure


def complaints(failure: ValidationError, *inside: str) -> list[str]:
    """``key.key: what is wrong`` for each wrong value; ``inside``: keys that lead to the checked part."""
    return [f"{'.'.join(map(str, (*inside, *e['loc']))) or '(file)'}: {e['msg']}" for e in failure.errors()]
