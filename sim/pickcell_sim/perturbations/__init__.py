"""Things that go wrong in the middle of a pick: scripted by a seed, done by physics and cameras, undone in the end.

A script is drawn (:func:`draw_script`) from ranges (config/perturbations.yaml), attached to a driven cell
(:class:`Perturbations`) and told the stages of the pick (:func:`watch_task`).
"""

from pickcell_sim.perturbations.kinds import Kind
from pickcell_sim.perturbations.live import LivePerturbations
from pickcell_sim.perturbations.ranges import PerturbationConfigError, load_ranges
from pickcell_sim.perturbations.runner import LogEntry, Perturbations
from pickcell_sim.perturbations.script import Perturbation, PerturbationScript, draw_script
from pickcell_sim.perturbations.watch import watch_task

__all__ = [
    "Kind",
    "LivePerturbations",
    "LogEntry",
    "Perturbation",
    "PerturbationConfigError",
    "PerturbationScript",
    "Perturbations",
    "draw_script",
    "load_ranges",
    "watch_task",
]
