"""What each kind of item bears, read from ``config/damage.yaml``: every number with the source it is taken from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Generic, Literal, TypeVar

import numpy as np
from pydantic import Field, field_validator

from pickcell.config_file import Strict, checked, read_mapping
from pickcell_sim.damage.mechanics import buckling_n, impact_speed_mps
from pickcell_sim.hand.cups import blister_limit_pa
from pickcell_sim.items.assets import item_spec
from pickcell_sim.items.spec import KINDS, REPOSITORY, ItemSpec

DEFAULT_PATH = REPOSITORY / "config" / "damage.yaml"
DEFAULT_CLASS = "default"
"""Of bodies that no catalogue describes."""

Positive = Annotated[float, Field(gt=0)]
T = TypeVar("T")


class DamageLimitsError(ValueError):
    """A file of limits that cannot be used; the message names the file and every wrong key."""


class Sourced(Strict, Generic[T]):
    """A value and where it comes from: a standard, a paper, or ``assumed``."""

    value: T
    source: Annotated[str, Field(min_length=3)]

    @property
    def assumed(self) -> bool:
        return self.source.startswith("assumed")


class Rules(Strict):
    """What holds for every class."""

    refractory_s: Sourced[Positive]
    """An item's exceedances of one kind that follow each other within this time are one event."""
    crush_window_s: Sourced[Positive]
    """Forces are averaged over about this long."""
    new_contact_m: Sourced[Positive]
    """A contact farther than this from all contacts of the same two bodies in the step before is new."""
    impact_share: Sourced[Literal["approach", "velocity_change"]]
    """``approach``: the whole approach speed counts. ``velocity_change``: of two free items that meet, each is charged
    with the share that the other's mass can transfer, m_other / (m_own + m_other)."""
    uncontrolled_drop_m: Sourced[Positive]
    """A free fall of at least this, begun outside the destination, is an uncontrolled drop."""
    opening_deg: Sourced[Annotated[float, Field(gt=0, lt=180)]]
    """A book opened wider is damaged."""


class ClassLimits(Strict):
    """Of one class of items."""

    fall_height_m: Sourced[Positive]
    """Largest free fall on a rigid floor without damage."""
    crush_n: Sourced[Positive]
    """Largest sustained force of one pad, for plates on the face."""
    modulus_pa: Sourced[Positive] | None = None
    """Young's modulus of a thin plate: it buckles when pressed on its edges. None for everything else."""
    opens: Sourced[bool] | None = None
    """Has covers that can swing open."""


class Plates(Strict):
    load_width_m: Sourced[Positive]
    """Width of the strip that carries a pad's force through a plate, at most the plate's own width."""


class Film(Strict):
    factor: Sourced[Positive]
    """On the vacuum that the membrane of :func:`pickcell_sim.hand.cups.blister_limit_pa` bears."""


@dataclass(frozen=True)
class ItemLimits:
    """What one SKU bears, scales applied. Forces in the item's own axes."""

    kind: str
    """The class it is judged by."""
    impact_mps: float
    """Largest normal approach speed at a new contact."""
    crush_n: float
    """Largest sustained pad force; of plates on the face (along z)."""
    edge_n: tuple[float, float]
    """Largest sustained pad force along x and along y: of thin plates the buckling load, else ``crush_n``."""
    opening_rad: float
    """Largest opening of its covers; infinite without any."""
    film_um: float
    """Thickness of its film, 0 without."""

    @property
    def is_plate(self) -> bool:
        return self.edge_n != (self.crush_n, self.crush_n)


@dataclass(frozen=True)
class Scales:
    """Factors on the limits, for sensitivity analyses: 0.5 makes everything half as robust."""

    impact: float = 1.0
    """On the fall height: the speed follows with its root."""
    opening: float = 1.0
    crush: float = 1.0
    film: float = 1.0


class DamageLimits(Strict):
    """All limits. Immutable; :meth:`scaled` gives another one."""

    version: Literal[1]
    rules: Rules
    classes: dict[str, ClassLimits]
    plates: Plates
    film: Film
    scales: Scales = Scales()
    path: str = ""
    """The file this was read from."""

    @field_validator("classes")
    @classmethod
    def _complete(cls, classes: dict[str, ClassLimits]) -> dict[str, ClassLimits]:
        missing = [kind for kind in (*KINDS, DEFAULT_CLASS) if kind not in classes]
        if missing:
            raise ValueError(f"no limits for {', '.join(missing)}; there are {', '.join(sorted(classes))}")
        return classes

    def scaled(self, *, impact: float = 1.0, opening: float = 1.0, crush: float = 1.0, film: float = 1.0) -> DamageLimits:
        """The same limits times these factors, on top of factors there already are. Raises ValueError for factors <= 0.

        ``impact`` multiplies fall heights, ``crush`` forces (also buckling loads), ``film`` the vacuum.
        """
        factors = {"impact": impact, "opening": opening, "crush": crush, "film": film}
        for name, factor in factors.items():
            if not (np.isfinite(factor) and factor > 0):
                raise ValueError(f"the factor on {name} must be positive, got {factor}")
        now = self.scales
        scales = Scales(now.impact * impact, now.opening * opening, now.crush * crush, now.film * film)
        return self.model_copy(update={"scales": scales})

    def with_impact_share(self, share: Literal["approach", "velocity_change"]) -> DamageLimits:
        """The same limits with another rule for collisions of two free items, see :class:`Rules`."""
        rule = Sourced[Literal["approach", "velocity_change"]](value=share, source=self.rules.impact_share.source)
        return self.model_copy(update={"rules": self.rules.model_copy(update={"impact_share": rule})})

    def watched_from(self, share: float) -> DamageLimits:
        """Limits at a share of these, of speeds too: what passes them comes near to damage. Raises ValueError for a share
        that is not positive."""
        return self.scaled(impact=share**2, opening=share, crush=share, film=share)

    def class_limits(self, name: str) -> ClassLimits:
        """One class as the file has it. Raises KeyError naming the classes there are."""
        if name not in self.classes:
            raise KeyError(f"no limits for '{name}' in {self.path or 'these limits'}; there are {sorted(self.classes)}")
        return self.classes[name]

    def for_spec(self, spec: ItemSpec) -> ItemLimits:
        """What a SKU bears. Raises KeyError when its class of fragility is not in the file."""
        return self._resolve(spec.fragility, spec.size_m, spec.film_um)

    def for_sku(self, sku: str) -> ItemLimits:
        """What a piece bears, by the name that the world has for it; bodies that no catalogue knows: class ``default``."""
        try:
            spec = item_spec(sku)
        except KeyError:
            return self._resolve(DEFAULT_CLASS, None, 0.0)
        return self.for_spec(spec)

    def blister_pa(self, film_um: float, cup_radius_m: float) -> float:
        """Vacuum (Pa) under a cup of this radius at which a film keeps a blister, scale applied; infinite without film."""
        return self.scales.film * self.film.factor.value * blister_limit_pa(film_um, cup_radius_m)

    @property
    def drop_m(self) -> float:
        """Free falls of at least this height count as drops."""
        return self.rules.uncontrolled_drop_m.value

    def _resolve(self, name: str, size_m: tuple[float, float, float] | None, film_um: float) -> ItemLimits:
        limits, scales = self.class_limits(name), self.scales
        crush_n = scales.crush * limits.crush_n.value
        edge_n = (crush_n, crush_n)
        if limits.modulus_pa is not None and size_m is not None:
            along_x, along_y = self._buckling_n(limits, size_m)
            edge_n = (min(crush_n, scales.crush * along_x), min(crush_n, scales.crush * along_y))
        opens = limits.opens is not None and limits.opens.value
        return ItemLimits(
            name,
            impact_speed_mps(scales.impact * limits.fall_height_m.value),
            crush_n,
            edge_n,
            float(np.deg2rad(scales.opening * self.rules.opening_deg.value)) if opens else float("inf"),
            film_um,
        )

    def _buckling_n(self, limits: ClassLimits, size_m: tuple[float, float, float]) -> tuple[float, float]:
        """Euler loads of a plate pressed along its x and along its y."""
        assert limits.modulus_pa is not None
        x, y, thickness = size_m
        modulus, strip = limits.modulus_pa.value, self.plates.load_width_m.value
        return buckling_n(thickness, x, min(y, strip), modulus), buckling_n(thickness, y, min(x, strip), modulus)


def load_damage_limits(path: str | Path | None = None) -> DamageLimits:
    """Read and check a file of limits, ``config/damage.yaml`` when none is given.

    Raises DamageLimitsError naming the file, each wrong key and what is expected.
    """
    return _read(Path(path) if path is not None else DEFAULT_PATH)


@cache
def _read(path: Path) -> DamageLimits:
    data = read_mapping(path, "damage limits", DamageLimitsError, f"a mapping of keys, see {DEFAULT_PATH.name}")
    return checked(DamageLimits, {**data, "path": str(path)}, path, "file of damage limits", DamageLimitsError)
