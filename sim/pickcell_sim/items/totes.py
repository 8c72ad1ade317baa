"""Which SKUs lie in a tote: tote files, splits, and random mixes for benchmarks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from pickcell.catalogue import config_directory, load_catalogue
from pickcell.config_file import Strict, checked, read_mapping
from pickcell_sim.items.spec import KINDS, PAYLOAD_KG

MIX = {"irregular": 0.35, "box": 0.30, "cylinder": 0.20, "card": 0.15}
"""Share of each kind in a random tote (assumed; printed with every benchmark)."""


MIXES: dict[str, dict[str, float]] = {
    "first": MIX,
    "all": {
        "irregular": 10, "box": 12, "cylinder": 5, "card": 5, "shrink": 8, "hardcover": 5, "paperback": 6, "bottle": 7,
        "can": 6, "jar": 4, "mailer": 5, "polybag": 6, "loose_bag": 5, "ruler": 2, "flat": 4, "blister": 5, "plush": 3,
        "tube": 5,
    },
    "grocery": {"box": 15, "shrink": 15, "can": 20, "jar": 10, "bottle": 15, "loose_bag": 15, "cylinder": 5, "tube": 5},
    "books_boxes": {"hardcover": 25, "paperback": 25, "box": 30, "shrink": 20},
    "flats": {"card": 40, "ruler": 15, "flat": 25, "blister": 20},
    "bags": {"mailer": 30, "polybag": 35, "loose_bag": 35},
}  # fmt: skip
"""Named mixes: weight of each kind (assumed; a result names the mix it was found with)."""


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


class _File(Strict):
    seed: Annotated[int, Field(ge=0)]
    items: Annotated[dict[str, Annotated[int, Field(ge=1, le=50)]], Field(min_length=0)]


def load_tote(path: str | Path) -> ToteContents:
    """Read and check a tote file. Raises ToteFileError naming the file, each wrong key, and near matches of unknown SKUs."""
    path = Path(path)
    data = read_mapping(path, "tote file", ToteFileError, "the keys seed and items (SKU: count)")
    file = checked(_File, data, path, "tote", ToteFileError)
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
    return ToteContents(seed, _draw(np.random.default_rng([seed, 301]), n, split, MIX, _pools(split, MIX)))


def mixed_tote(
    seed: int, n: int, split: str = "test", mix: str | Mapping[str, float] = "all", max_mass_kg: float | None = PAYLOAD_KG
) -> ToteContents:
    """``n`` different SKUs of a split, kinds drawn by ``mix``: a name of MIXES or weights by kind.

    SKUs heavier than ``max_mass_kg`` are left out, none when it is None: a cell refuses them, but they may lie in the way.
    Of a look-alike family at most one is drawn. Raises ValueError for unknown mixes and kinds, and when n is too many.
    """
    weights = _weights(mix)
    pools = _pools(split, weights)
    if max_mass_kg is not None:
        catalogue = _catalogue()
        pools = {kind: [s for s in pool if catalogue[s].mass_kg <= max_mass_kg] for kind, pool in pools.items()}
    return ToteContents(seed, _draw(np.random.default_rng([seed, 302]), n, split, weights, pools))


def _weights(mix: str | Mapping[str, float]) -> dict[str, float]:
    """Weight of each kind, in the order of KINDS. Raises ValueError."""
    if isinstance(mix, str):
        if mix not in MIXES:
            raise ValueError(f"no mix '{mix}'; there are {', '.join(MIXES)}")
        mix = MIXES[mix]
    unknown = sorted(set(mix) - set(KINDS))
    if unknown or not mix or any(not weight > 0.0 for weight in mix.values()):
        raise ValueError(f"a mix gives positive weights to kinds among {', '.join(KINDS)}; got {dict(mix)}")
    return {kind: float(mix[kind]) for kind in KINDS if kind in mix}


def _draw(
    rng: np.random.Generator, n: int, split: str, mix: Mapping[str, float], pools: dict[str, list[str]]
) -> dict[str, int]:
    """``n`` SKUs from the pools, one piece each, no two of the same name. Raises ValueError when there are not so many."""
    available = sum(len(pool) for pool in pools.values())
    if not 0 <= n <= available:
        raise ValueError(f"a tote of {n} different SKUs cannot be drawn from the {available} of split '{split}'")
    drawn: dict[str, int] = {}
    names: set[str] = set()
    while len(drawn) < n:
        open_kinds = [kind for kind in mix if any(s not in drawn for s in pools[kind])]
        if not open_kinds:
            raise ValueError(f"a tote of {n} different SKUs cannot be drawn: split '{split}' has {len(names)} unlike ones")
        weights = np.array([mix[kind] for kind in open_kinds])
        kind = str(rng.choice(open_kinds, p=weights / weights.sum()))
        sku = str(rng.choice([s for s in pools[kind] if s not in drawn]))
        if _catalogue_name(sku) in names:
            pools[kind] = [s for s in pools[kind] if s != sku]
            continue
        names.add(_catalogue_name(sku))
        drawn[sku] = 1
    return drawn


def _pools(split: str, kinds: Iterable[str]) -> dict[str, list[str]]:
    """Catalogue SKUs of a split by kind, of the kinds asked for."""
    catalogue = _catalogue()
    skus = [sku for sku in load_split(split) if sku in catalogue]
    return {kind: [sku for sku in skus if catalogue[sku].kind == kind] for kind in kinds}


def _catalogue_name(sku: str) -> str:
    return _catalogue()[sku].name


_catalogue = cache(load_catalogue)
