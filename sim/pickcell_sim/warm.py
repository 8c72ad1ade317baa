"""Compile every numerical kernel once, into numba's cache on disk: a cold cell would stand still for a minute.

Motion plans in a made-up scene; perception and the grasp choice look at a simulated tote.
"""

from __future__ import annotations

import time

from pickcell.catalogue import load_catalogue
from pickcell.cell import load_cell
from pickcell.description import expand_urdf
from pickcell.motion.warm import warm as warm_motion
from pickcell.perception import PerceptionPipeline
from pickcell.segmentation.choose import SEGMENTERS
from pickcell_sim.cell import InProcessCell
from pickcell_sim.driver import SimDriver
from pickcell_sim.filling.fill import fill_tote
from pickcell_sim.items.spec import REPOSITORY
from pickcell_sim.items.totes import load_tote


def warm() -> float:
    """Returns the seconds it took: some when all was compiled before, one or two minutes when nothing was."""
    start = time.perf_counter()
    cell, catalogue = load_cell(REPOSITORY / "config" / "cells" / "panda.yaml", calibrated=False), load_catalogue()
    warm_motion(cell)
    tote = load_tote(REPOSITORY / "config" / "totes" / "demo.yaml")
    driver = SimDriver.create(cell, tote.seed)
    try:
        fill_tote(driver.world, tote.skus, tote.seed)
        for name in SEGMENTERS:
            perception = PerceptionPipeline(cell, expand_urdf(cell), catalogue, segmentation=name, completion=name)
            InProcessCell(driver, cell, catalogue, perception=perception, charge=False).rehearse(tote.manifest)
    finally:
        driver.close()
    return time.perf_counter() - start


if __name__ == "__main__":
    print(f"kernels compiled in {warm():.0f} s", flush=True)
