"""``/sim/*``: what a test does to the simulated cell. The pipeline never uses these, and real hardware has none of them.

=======================  =================  ==========================================================================
service                  type               effect
=======================  =================  ==========================================================================
/sim/reset_scene         std_srvs/Trigger   the scene anew, from the parameters ``tote_file`` and ``seed`` as they are now:
                                            tote filled again, robot at home, stops released; time goes on
/sim/manifest            std_srvs/Trigger   what was put into the source tote, as JSON {sku: count}: what a host would know
                                            from its warehouse system
/sim/truth               std_srvs/Trigger   where every piece truly is, as JSON: for scorers only
/sim/estop               std_srvs/SetBool   press or release the emergency stop
/sim/protective_stop     std_srvs/SetBool   false: clear the arm's protective stop; only a collision can trigger it
=======================  =================  ==========================================================================

Camera faults are the parameter ``camera_faults`` of the node: a list of ``<camera>:<fault>``, see
:class:`pickcell_sim.vision.cameras.CameraFault`. What is in the list is active, what is not is over.

The parameter ``perturbation``, set to ``<kind>`` or ``<kind>:<seed>`` (docs/perturbations.md), strikes at once, anew each
time it is set; set to the empty string it ends and undoes all of them: ``ros2 param set /sim perturbation intruder:3``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool, Trigger

from pickcell_sim.driver import SimDriver
from pickcell_sim.items.spawn import item_pose
from pickcell_sim.perturbations import LivePerturbations
from pickcell_sim.scoring.truth import Truth
from pickcell_sim.vision.cameras import CameraFault, SimCameras

FAULTS_PARAMETER = "camera_faults"
PERTURBATION_PARAMETER = "perturbation"
AWAKE_S = 0.2
"""While a perturbation acts, the simulator is kept from resting so often."""


class Bridge(Protocol):
    """What the services act on."""

    driver: SimDriver
    manifest: dict[str, int]

    def reset_scene(self) -> str:
        """Set the scene up anew; a sentence about it."""

    def wake(self) -> None:
        """Something is about to change: leave the idle state."""


def where_items_are(driver: SimDriver) -> list[dict[str, Any]]:
    """Ground truth for scorers: SKU, centre in the world (m), and the tote that holds the centre (empty: none does)."""
    out, truth = [], Truth(driver)
    for item in driver.world.item_bodies.values():
        X = item_pose(driver.world, item)
        tote = truth.tote_of(item.item_id) or ""
        out.append({"sku": item.name, "position": X[:3, 3].round(4).tolist(), "tote": tote})
    return out


def set_camera_faults(cameras: SimCameras, faults: Sequence[str]) -> None:
    """Make exactly these ``<camera>:<fault>`` active. Raises ValueError naming what there is, without changing anything."""
    wanted: set[tuple[str, CameraFault]] = set()
    for text in faults:
        camera, _, fault = text.partition(":")
        if camera not in cameras.names or fault not in [f.value for f in CameraFault]:
            raise ValueError(
                f"'{text}' is not <camera>:<fault>; cameras: {list(cameras.names)}, faults: {[f.value for f in CameraFault]}"
            )
        wanted.add((camera, CameraFault(fault)))
    for camera in cameras.names:
        for fault in CameraFault:
            cameras.set_fault(camera, fault, (camera, fault) in wanted)


def offer_controls(node: Node, bridge: Bridge) -> None:
    """Create the services and the fault parameter on ``node``."""

    def trigger(name: str, call: Callable[[], str]) -> None:
        def serve(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            try:
                response.message, response.success = call(), True
            except Exception as error:  # a test's control must not take the cell down with it
                node.get_logger().error(f"{name}: {error}")
                response.message, response.success = str(error), False
            return response

        node.create_service(Trigger, name, serve)

    def switch(name: str, call: Callable[[bool], str]) -> None:
        def serve(request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
            bridge.wake()
            response.message = call(request.data)
            response.success = not response.message
            return response

        node.create_service(SetBool, name, serve)

    def estop(pressed: bool) -> str:
        bridge.driver.set_estop(pressed)
        return ""

    def protective_stop(active: bool) -> str:
        if active:
            return "only a collision triggers the protective stop"
        bridge.driver.clear_protective_stop()
        return ""

    trigger("/sim/reset_scene", bridge.reset_scene)
    trigger("/sim/manifest", lambda: json.dumps(bridge.manifest))
    trigger("/sim/truth", lambda: json.dumps(where_items_are(bridge.driver)))
    switch("/sim/estop", estop)
    switch("/sim/protective_stop", protective_stop)
    _offer_faults(node, bridge)
    _offer_perturbations(node, bridge)


def _offer_faults(node: Node, bridge: Bridge) -> None:
    node.declare_parameter(FAULTS_PARAMETER, Parameter.Type.STRING_ARRAY)

    def set_faults(parameters: list[Parameter]) -> SetParametersResult:
        for parameter in parameters:
            if parameter.name == FAULTS_PARAMETER and bridge.driver.cameras is not None:
                try:
                    set_camera_faults(bridge.driver.cameras, parameter.value or [])
                except ValueError as error:
                    return SetParametersResult(successful=False, reason=str(error))
                node.get_logger().info(f"camera faults: {list(parameter.value or []) or 'none'}")
        return SetParametersResult(successful=True)

    node.add_on_set_parameters_callback(set_faults)


def _offer_perturbations(node: Node, bridge: Bridge) -> None:
    live = LivePerturbations()

    def set_perturbation(parameters: list[Parameter]) -> SetParametersResult:
        for parameter in parameters:
            if parameter.name == PERTURBATION_PARAMETER:
                try:
                    said = live.strike(bridge.driver, parameter.value)
                except ValueError as error:
                    return SetParametersResult(successful=False, reason=str(error))
                bridge.wake()
                keep_awake.reset()
                node.get_logger().info(f"perturbation: {said}")
        return SetParametersResult(successful=True)

    def stay_awake() -> None:
        if live.moving(bridge.driver):
            bridge.wake()
        else:
            keep_awake.cancel()

    keep_awake = node.create_timer(AWAKE_S, stay_awake, clock=Clock(clock_type=ClockType.STEADY_TIME))
    node.declare_parameter(PERTURBATION_PARAMETER, "")
    node.add_on_set_parameters_callback(set_perturbation)
