"""Services for operators and scripts. Every answer comes at once and carries a code and a sentence."""

from __future__ import annotations

from typing import Any

from pickcell_interfaces.srv import Cancel, Explain, GetReport, Pause, Pick, Reset, Resume, SetManifest
from rclpy.node import Node

from pickcell.outcome import Code, Outcome
from pickcell.ports import SensorPort
from pickcell.task.ledger import Ledger
from pickcell.task.pick import PickTask
from pickcell_conversions.outcomes import code_msg, manifest_from_msg, outcome_to_msg
from pickcell_task.desk import Desk, Ticket
from pickcell_task.guard import guarded_service
from pickcell_task.paperwork import Paperwork


class OperatorServices:
    """Offers the cell's services on a node."""

    def __init__(
        self, node: Node, desk: Desk, task: PickTask, ledger: Ledger, sensors: SensorPort, paperwork: Paperwork
    ) -> None:
        self._desk = desk
        self._task = task
        self._ledger = ledger
        self._sensors = sensors
        self._paperwork = paperwork
        for service, name, handler in (
            (Pick, "pick", self.pick),
            (Cancel, "cancel", self.cancel),
            (Pause, "pause", self.pause),
            (Resume, "resume", self.resume),
            (Reset, "reset", self.reset),
            (SetManifest, "set_manifest", self.set_manifest),
            (GetReport, "get_report", self.get_report),
            (Explain, "explain", self.explain),
        ):
            node.create_service(service, name, guarded_service(node.get_logger().error, handler))

    def pick(self, request: Pick.Request, response: Pick.Response) -> Pick.Response:
        asked = self._desk.pick(request.sku, request.timeout)
        response.outcome = outcome_to_msg(asked)
        if asked.ok:
            response.job_id = asked.unwrap().job_id
            response.position = self._desk.position(asked.unwrap())
        return response

    def cancel(self, request: Cancel.Request, response: Cancel.Response) -> Cancel.Response:
        return _about(self._desk.cancel(request.job_id), response)

    def pause(self, _: Pause.Request, response: Pause.Response) -> Pause.Response:
        response.outcome = outcome_to_msg(self._desk.pause())
        return response

    def resume(self, _: Resume.Request, response: Resume.Response) -> Resume.Response:
        response.outcome = outcome_to_msg(self._desk.resume())
        return response

    def reset(self, _: Reset.Request, response: Reset.Response) -> Reset.Response:
        """Refused while a stop is pressed: the reason to wait is still there."""
        reading = self._sensors.reading()
        if reading.ok and reading.unwrap().estop:
            response.outcome = code_msg(Code.ESTOP)
        elif reading.ok and reading.unwrap().protective_stop:
            response.outcome = code_msg(Code.PROTECTIVE_STOP)
        else:
            self._task.scene_is_fresh = False  # somebody has had their hands in the cell
            response.outcome = code_msg(Code.OK, self._desk.reset())
        return response

    def set_manifest(self, request: SetManifest.Request, response: SetManifest.Response) -> SetManifest.Response:
        outcome = self._set_manifest(request)
        response.outcome = outcome_to_msg(outcome)
        response.items = outcome.value or 0
        return response

    def _set_manifest(self, request: SetManifest.Request) -> Outcome[int]:
        if self._desk.running() is not None:
            return Outcome.failure(Code.BUSY, "The manifest cannot change while a pick runs.")
        manifest = manifest_from_msg(request.lines)
        if not manifest.ok:
            return manifest.failed_as()
        for sku in manifest.unwrap():
            found = self._task.catalogue.find(sku)
            if not found.ok:
                return found.failed_as()
        booked = self._ledger.set_manifest(manifest.unwrap())
        self._task.scene_is_fresh = False
        if not booked.ok:
            return booked
        return Outcome.success(booked.unwrap(), f"{booked.unwrap()} pieces of {len(manifest.unwrap())} SKUs.")

    def get_report(self, request: GetReport.Request, response: GetReport.Response) -> GetReport.Response:
        ticket = self._desk.find(request.job_id).value if request.job_id else self._desk.last_ended()
        job_id = request.job_id or (ticket.job_id if ticket is not None else "")
        if ticket is not None and job_id == ticket.job_id and not ticket.done:
            response.outcome = code_msg(Code.BUSY, f"Job {job_id} has not ended yet.")
            return response
        if not job_id or "/" in job_id or job_id.startswith("."):
            response.outcome = code_msg(Code.ORDER_MALFORMED, "There is no such report." if job_id else "No job has ended.")
            return response
        found = self._paperwork.read(job_id)  # also of jobs from before the last restart
        response.outcome = outcome_to_msg(found)
        if found.ok:
            response.job_id, response.json = job_id, found.unwrap()
            response.directory = str(self._paperwork.path_of(job_id).resolve())
        return response

    def explain(self, request: Explain.Request, response: Explain.Response) -> Explain.Response:
        found = self._desk.find(request.job_id)
        if found.ok:
            response.sentence = self._desk.explain(found.unwrap())
        return _about(found, response)


def _about(found: Outcome[Ticket], response: Any) -> Any:
    response.outcome = outcome_to_msg(found)
    if found.ok:
        response.job_id = found.unwrap().job_id
    return response
