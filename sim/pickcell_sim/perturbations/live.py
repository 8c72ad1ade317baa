"""Perturbations by hand, for someone who watches a running cell: they strike at once."""

from __future__ import annotations

from dataclasses import replace

from pickcell_sim.driver import SimDriver
from pickcell_sim.perturbations.kinds import Kind
from pickcell_sim.perturbations.runner import Perturbations
from pickcell_sim.perturbations.script import PerturbationScript, draw_script


class LivePerturbations:
    """Strikes ``<kind>`` or ``<kind>:<seed>`` on a driver. Without a seed each strike is another one, in a fixed order."""

    def __init__(self) -> None:
        self._driver: SimDriver | None = None
        self._attached: list[Perturbations] = []
        self._strikes = 0

    def moving(self, driver: SimDriver) -> bool:
        """Whether any of those on ``driver`` still needs time to pass; a knocked camera does not, nor what acted on a scene
        that has been set up anew since."""
        return driver is self._driver and any(a.due or set(a.active) - {Kind.CAMERA_KNOCKED} for a in self._attached)

    def strike(self, driver: SimDriver, text: str) -> str:
        """Strike now; an empty text ends and undoes all. A sentence about it.

        What is shoved is the item nearest to the hand. Raises ValueError naming what is possible, with nothing changed.
        """
        if driver is not self._driver:  # the scene was set up anew: what acted on the old one is gone with it
            self._driver, self._attached = driver, []
        if not text:
            self.end()
            return "all perturbations have ended"
        name, colon, number = text.partition(":")
        if colon and not number.isdecimal():
            raise ValueError(f"'{text}' is not <kind> or <kind>:<seed>, with a seed >= 0")
        seed = int(number) if colon else self._strikes
        (drawn,) = draw_script(name, seed).perturbations
        self._strikes += 1
        for idle in [a for a in self._attached if not (a.due or a.active)]:
            idle.close()
            self._attached.remove(idle)
        attached = Perturbations(driver, PerturbationScript((replace(drawn, delay_s=0.0),)))
        attached.on_stage(drawn.stage)
        self._attached.append(attached)
        (entry,) = attached.log
        whom = entry.sku or entry.camera
        said = f"{name} with seed {seed} {entry.what}{f' ({whom})' if whom else ''}"
        return f"{said}: {entry.note or ', '.join(f'{k} {v:.3g}' for k, v in entry.magnitude.items())}"

    def end(self) -> None:
        """End and undo whatever acts, the newest first."""
        while self._attached:
            self._attached.pop().close()
