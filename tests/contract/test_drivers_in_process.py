"""The driver contract, kept by the simulator's ports in the same process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from driver_contract import DrivenCell, DriverContract
from sim_rig import driven

from pickcell_sim.ports import SimPorts


@pytest.fixture(scope="module")
def driven_cell() -> Iterator[DrivenCell]:
    with driven() as driver:
        ports = SimPorts(driver)
        yield DrivenCell(driver.cell, ports, ports, ports, ports, driver.set_estop, driver.clear_protective_stop)


class TestInProcess(DriverContract):
    @pytest.fixture
    def cell(self, driven_cell: DrivenCell) -> DrivenCell:
        return driven_cell
