"""Which SKUs lie in a tote: tote files, splits, and random mixes for benchmarks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pickcell.catalogue import config_directory, load_catalogue

MIX = {"irregular": 0.35, "box": 0.30, "cylinder": 0.20, "card": 0.15}
"""Share of each kind in a random tote (assumed; printed with every benchmark)."""


class ToteFileError(ValueError):
    """A tote file that cannot be used; the message names the file and every wrong key."""


@dataclass(frozen=True)
class ToteContents:
    """What is spawned, and what inventory says is there: the same thing."""

    seed: int
    manifest: dict[str, int]
    """SKU -> count."""

    @property
    def skus(self) -> list[str]:
        """One entry per piece."""
        return [sku for sku, count in self.manifest.items() for _ in range(count)]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    seed: Annotated[int, Field(ge=0)]
    items: Annotated[dict[str, Annotated[int, Field(ge=1, le=50)]], Field(min_length=0)]


def load_tote(path: str | Path) -> ToteContents:
    """Read and check a tote file. Raises ToteFileError naming the file, each wrong key, and near matches of unknown SKUs."""
    path = Path(path)
    try:
        data: Any = yaml.safe_load(path.read_text())
        file = _File(**data)
    except OSError as error:
        raise ToteFileError(f"cannot read tote file {path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ToteFileError(f"{path} is not valid YAML: {error}") from error
    except TypeError as error:
        raise ToteFileError(f"{path}: expected the keys seed and items (SKU: count)") from error
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ToteFileError(f"{path} is not a usable tote:\n" + "\n".join(lines)) from error
    catalogue = load_catalogue()
    unknown = [catalogue.find(sku).text for sku in file.items if sku not in catalogue]
    if unknown:
        raise ToteFileError(f"{path}: " + " ".join(unknown))
    return ToteContents(file.seed, dict(file.items))


@cache
def load_split(name: str) -> tuple[str, ...]:
    """SKUs of a split, sorted. Raises ValueError naming the splits there are."""
    folder = config_directory() / "splits"
    path = folder / f"{name}.txt"
    if not path.is_file():
        raise ValueError(f"no split '{name}'; {folder} has {sorted(p.stem for p in folder.glob('*.txt'))}")
    lines = (line.strip() for line in path.read_text().splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


def random_tote(seed: int, n: int = 12, split: str = "test") -> ToteContents:
    """``n`` different SKUs of a split that the catalogue knows, of MIX's four kinds. Raises ValueError when n is too many.

    Near-identical twins never share a tote: telling them apart needs a picture of the dot's side (benchmarked apart).
    """
    rng = np.random.default_rng([seed, 301])
    pools = _pools(split, MIX)
    available = sum(len(pool) for pool in pools.values())
    if not 0 <= n <= available:
        raise ValueError(f"a tote of {n} different SKUs cannot be drawn from the {available} of split '{split}'")
    drawn: dict[str, int] = {}
    names: set[str] = set()
    while len(drawn) < n:
        open_kinds = [kind for kind in MIX if any(s not in drawn for s in pools[kind])]
        weights = np.array([MIX[kind] for kind in open_kinds])
        kind = str(rng.choice(open_kinds, p=weights / weights.sum()))
        sku = str(rng.choice([s for s in pools[kind] if s not in drawn]))
        if _catalogue_name(sku) in names:
            pools[kind] = [s for s in pools[kind] if s != sku]
            continue
        names.add(_catalogue_name(sku))
        drawn[sku] = 1
    return ToteContents(seed, drawn)


def _pools(split: str, kinds: Iterable[str]) -> dict[str, list[str]]:
    """Catalogue SKUs of a split by kind, of the kinds asked for."""
    catalogue = _catalogue()
    skus = [sku for sku in load_split(split) if sku in catalogue]
    return {kind: [sku for sku in skus if catalogue[sku].kind == kind] for kind in kinds}


def _catalogue_name(sku: str) -> str:
    return _catalogue()[sku].name


_catalogue = cache(load_catalogue)
