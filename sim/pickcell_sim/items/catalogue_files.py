"""Writes what is committed: the catalogue with its reference strips, and the splits by SKU."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Collection
from pathlib import Path

import cv2
import numpy as np

from pickcell_sim.items.assets import item_spec
from pickcell_sim.items.irregular import COUNT, irregular_spec
from pickcell_sim.items.shelf import SHELF
from pickcell_sim.items.spec import KINDS, REPOSITORY, SEED, VERSION, ItemSpec, all_specs
from pickcell_sim.items.studio import Studio

SPLITS = ("train", "validation", "test")
_SHARES = {"train": 0.50, "validation": 0.15, "test": 0.35}
"""Of boxes, cylinders and cards."""
_LOOK_ALIKE_TURN = ("train", "test", "validation", "test", "train")
"""Splits that the look-alike families of the shelf go to, in turn."""
_IRREGULAR_IN_CATALOGUE = {"train": 150, "validation": 30, "test": 70}
"""Irregular SKUs with an entry in the catalogue; the splits hold all usable ones."""
_IRREGULAR_SHARES = {"train": 0.60, "validation": 0.12, "test": 0.28}
_JPEG_QUALITY = 82

CATALOGUE_DIR = REPOSITORY / "config" / "catalogue"
SPLITS_DIR = REPOSITORY / "config" / "splits"


def draw_splits() -> tuple[dict[str, list[str]], list[str]]:
    """SKUs by split (each in one only; near-identical twins together), and those that the catalogue lists."""
    splits: dict[str, list[str]] = {name: [] for name in SPLITS}
    listed: list[str] = []
    specs = all_specs()
    for k, kind in enumerate(("box", "cylinder", "card")):
        groups: dict[str, list[str]] = {}
        for spec in specs.values():
            if spec.kind == kind:
                groups.setdefault(spec.variant_of or spec.sku, []).append(spec.sku)
        rng = np.random.default_rng([SEED, 20, k])
        # Twins first, in turn, so that every split has its share of the near-identical ones.
        twins = sorted(key for key, group in groups.items() if len(group) > 1)
        rest = sorted(key for key, group in groups.items() if len(group) == 1)
        for i, key in enumerate(rng.permutation(twins).tolist()):
            splits[SPLITS[(0, 2, 1)[i % 3]]] += groups[key]
        for key, split in zip(rng.permutation(rest).tolist(), _deal(len(rest), _SHARES)):
            splits[split] += groups[key]
    deal_shelf(specs, splits)
    listed += [sku for sku in specs]
    usable = _usable_irregulars()
    order = np.random.default_rng([SEED, 21]).permutation(usable).tolist()
    by_split: dict[str, list[str]] = {name: [] for name in SPLITS}
    for sku, split in zip(order, _deal(len(order), _IRREGULAR_SHARES)):
        by_split[split].append(sku)
    for name in SPLITS:
        splits[name] += by_split[name]
        listed += by_split[name][: _IRREGULAR_IN_CATALOGUE[name]]
    return {name: sorted(skus) for name, skus in splits.items()}, sorted(listed)


def deal_shelf(specs: dict[str, ItemSpec], splits: dict[str, list[str]]) -> None:
    """Deal the kinds of the shelf: each split gets some of every kind, each family stays together."""
    families: dict[str, list[str]] = {}
    for spec in specs.values():
        if spec.kind in SHELF:
            families.setdefault(spec.variant_of or spec.sku, []).append(spec.sku)
    look_alikes = sorted(key for key, members in families.items() if len(members) > 1)
    rng = np.random.default_rng([SEED, 22])
    # Look-alikes first, in turn over all kinds, so that every split has its share of them.
    turn = dict(zip(rng.permutation(look_alikes).tolist(), itertools.cycle(_LOOK_ALIKE_TURN)))
    for kind in SHELF:
        of_kind = {key: members for key, members in families.items() if specs[key].kind == kind}
        wanted = {name: share * sum(map(len, of_kind.values())) for name, share in _SHARES.items()}
        singles = rng.permutation(sorted(key for key in of_kind if key not in turn)).tolist()
        for key in [*(key for key in of_kind if key in turn), *singles]:
            split = turn[key] if key in turn else max(SPLITS, key=lambda name: wanted[name])
            splits[split] += of_kind[key]
            wanted[split] -= len(of_kind[key])


def write_splits(splits: dict[str, list[str]], folder: Path = SPLITS_DIR) -> None:
    """One file per split, one SKU per line."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, skus in splits.items():
        head = f"# SKUs of the {name} split, fixed: items of the test split are never trained on.\n"
        (folder / f"{name}.txt").write_text(head + "\n".join(skus) + "\n", encoding="utf-8")


def write_catalogue(
    listed: list[str],
    folder: Path = CATALOGUE_DIR,
    progress: Callable[[str], None] = lambda text: None,
    redraw: Collection[str] = KINDS,
) -> None:
    """``catalogue.yaml`` and ``views/<sku>.jpg`` for every listed SKU.

    Views of kinds that are not in ``redraw`` are kept where there are some.
    """
    views = folder / "views"
    views.mkdir(parents=True, exist_ok=True)
    for stale in views.glob("*.jpg"):
        if stale.stem not in listed:
            stale.unlink()
    lines = [
        "# What is known of every product before a piece of it was seen. Written by `python -m pickcell_sim.items build`.",
        "# dimensions_m: sides of the bounding box, descending. views/<sku>.jpg: six pictures from +x -x +y -y +z -z.",
        "format: 1",
        f'version: "{VERSION}"',
        "views: views",
        "skus:",
    ]
    with Studio() as studio:
        for i, sku in enumerate(listed):
            lines.append(_entry(item_spec(sku)))
            path = views / f"{sku}.jpg"
            if path.exists() and item_spec(sku).kind not in redraw:
                continue
            picture = cv2.cvtColor(studio.strip(sku), cv2.COLOR_RGB2BGR)
            cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
            if i % 25 == 24:
                progress(f"{i + 1} of {len(listed)} SKUs")
    (folder / "catalogue.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _entry(spec: ItemSpec) -> str:
    sides = ", ".join(f"{v:.4f}" for v in sorted(spec.size_m, reverse=True))
    name = spec.name if re.fullmatch(r"\w[\w .'-]*", spec.name) else json.dumps(spec.name, ensure_ascii=False)
    return f"  {spec.sku}: {{name: {name}, kind: {spec.kind}, dimensions_m: [{sides}], mass_kg: {spec.mass_kg:.4f}}}"


def _usable_irregulars() -> list[str]:
    usable = []
    for number in range(COUNT):
        try:
            usable.append(irregular_spec(number).sku)
        except ValueError:
            continue
    return usable


def _deal(count: int, shares: dict[str, float]) -> list[str]:
    """A split for each of ``count`` things, by largest remainder, so that the shares hold as well as they can."""
    exact = {name: share * count for name, share in shares.items()}
    numbers = {name: int(value) for name, value in exact.items()}
    for name in sorted(exact, key=lambda n: numbers[n] - exact[n])[: count - sum(numbers.values())]:
        numbers[name] += 1
    return [name for name, n in numbers.items() for _ in range(n)]
