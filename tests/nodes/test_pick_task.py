"""The task node over real DDS, with fake drivers and stage nodes: services, actions, queue, faults, clean ends."""

from __future__ import annotations

import json
import signal
import time

import pytest

pytest.importorskip("pickcell_interfaces.msg", reason="needs the built workspace")

from fake_cell_processes import SKUS, STAGES, FakeCellProcesses
from pickcell_interfaces.action import FulfilOrder, PickItem
from pickcell_interfaces.msg import Alert, CellStats, ManifestLine, OrderLine, PickState
from pickcell_interfaces.srv import Cancel, Explain, GetReport, Pause, Pick, Reset, Resume, SetManifest
from rclpy.action import ActionClient
from rclpy.qos import DurabilityPolicy, QoSProfile
from ros_processes import free_domain, spinning_node, wait_until

pytestmark = [pytest.mark.nodes, pytest.mark.timeout(120)]
PICK_S = 30.0


class Operator:
    """Everything an operator can do, over ROS."""

    def __init__(self, node) -> None:
        self.node = node
        self.states: list[PickState] = []
        self.stats: list[CellStats] = []
        self.alerts: list[Alert] = []
        self._clients = {}
        self._mark = 0
        """How many states had come when something was asked for last."""
        latched = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        node.create_subscription(PickState, "pick/state", self.states.append, latched)
        node.create_subscription(CellStats, "stats", self.stats.append, latched)
        node.create_subscription(Alert, "alerts", self.alerts.append, latched)
        self.pick_item = ActionClient(node, PickItem, "pick_item")
        self.fulfil_order = ActionClient(node, FulfilOrder, "fulfil_order")

    @property
    def state(self) -> PickState:
        return self.states[-1]

    def call(self, service, name, **fields):
        client = self._clients.setdefault(name, self.node.create_client(service, name))
        assert client.wait_for_service(10.0), f"nobody offers {name}"
        future = client.call_async(service.Request(**fields))
        begin = time.monotonic()
        wait_until(future.done, 5.0, f"{name} answers")
        assert time.monotonic() - begin < 2.0, "a service must not wait for a pick"
        return future.result()

    def pick(self, sku, **fields):
        self._mark = len(self.states)
        return self.call(Pick, "pick", sku=sku, **fields)

    def fill(self, count=3):
        answer = self.call(SetManifest, "set_manifest", lines=[ManifestLine(sku=sku, count=count) for sku in SKUS])
        assert answer.outcome.code == "ok", answer.outcome.text

    def job(self, job_id, timeout_s=PICK_S):
        """The job once it has ended."""

        def ended():
            return any(s.job.job_id == job_id and s.job.state == "done" for s in self.states)

        wait_until(ended, timeout_s, f"job {job_id} ends; the last state was {self.states[-1:]}")
        return next(s.job for s in reversed(self.states) if s.job.job_id == job_id and s.job.state == "done")

    def reach(self, stage, timeout_s=20.0):
        """Wait until what was asked for last has come to ``stage``, or just past it: some last a few milliseconds."""
        end = time.monotonic() + timeout_s
        while all(s.stage != stage for s in self.states[self._mark :]):
            said = [(s.state, s.job.job_id, s.stage, s.sentence) for s in self.states[-6:]]
            assert time.monotonic() < end, f"{stage} not reached within {timeout_s:.0f} s: {said}"
            time.sleep(0.005)

    def goal(self, client, goal, feedback=None):
        assert client.wait_for_server(10.0)
        self._mark = len(self.states)
        kept = feedback if feedback is not None else []
        sending = client.send_goal_async(goal, feedback_callback=lambda msg: kept.append(msg.feedback))
        wait_until(sending.done, 5.0, "the goal is accepted")
        return sending.result()

    def result(self, handle, timeout_s=PICK_S):
        future = handle.get_result_async()
        wait_until(future.done, timeout_s, "the goal ends")
        return future.result()

    def alive(self) -> set[str]:
        return {n.node for n in self.stats[-1].nodes if n.alive} if self.stats else set()

    def wait_ready(self) -> None:
        wanted = {f"/{stage}" for stage in STAGES} | {"drivers"}
        wait_until(lambda: self.alive() == wanted, 30.0, "all nodes are alive")


@pytest.fixture(scope="module")
def cell(tmp_path_factory):
    cell = FakeCellProcesses(tmp_path_factory.mktemp("cell"), free_domain())
    yield cell
    cell.close()


@pytest.fixture(scope="module")
def node(cell):
    with spinning_node(cell.domain, "operator_test", sim_time=False) as node:
        yield node


@pytest.fixture(scope="module")
def station(node):
    return Operator(node)


@pytest.fixture
def operator(cell, station):
    """The cell idle, alive and filled."""
    cell.fault.unlink(missing_ok=True)
    station.wait_ready()
    station.call(Reset, "reset")
    wait_until(lambda: station.state.state == PickState.IDLE and not station.state.queue, 20.0, "the cell is idle")
    station.fill()
    return station


def test_a_pick_runs_to_its_report(operator):
    answer = operator.pick("flat-a")
    assert answer.outcome.code == "ok" and answer.job_id and answer.position == 0
    job = operator.job(answer.job_id)
    assert (job.outcome.code, job.items_done, job.kind) == ("ok", 1, "pick"), job.outcome.text
    seen = [s.stage for s in operator.states if s.job.job_id == answer.job_id and s.stage]
    stages = list(dict.fromkeys(seen))
    assert stages == [
        "observe",
        "choose",
        "approach",
        "grasp",
        "lift",
        "verify",
        "transfer",
        "place",
        "verify_place",
        "record",
    ]
    report = operator.call(GetReport, "get_report", job_id=answer.job_id)
    data = json.loads(report.json)
    assert (data["sku"], data["code"], data["placed"]) == ("flat-a", "ok", True)
    said = operator.call(Explain, "explain", job_id=answer.job_id)
    assert "It is a box." in said.sentence and said.job_id == answer.job_id


def test_what_is_seen_to_move_on_the_way_is_chosen_anew(operator, cell):
    cell.fault.write_text("moved")
    job_id = operator.pick("flat-a").job_id
    job = operator.job(job_id)
    cell.fault.unlink()
    assert job.outcome.code == "target_moved", job.outcome.text
    data = json.loads(operator.call(GetReport, "get_report", job_id=job_id).json)
    ends = [(stage["stage"], stage["code"]) for stage in data["stages"] if stage["code"] != "ok"]
    assert len(ends) >= 2 and {code for _, code in ends} == {"target_moved"}
    assert {stage for stage, _ in ends} <= {"approach", "grasp"}
    after = operator.pick("flat-a").job_id
    assert operator.job(after).outcome.code == "ok"


def test_the_ledger_follows_what_was_delivered(operator):
    time.sleep(1.2)  # statistics come once a second: these are from after the last test
    before = operator.stats[-1]
    job_id = operator.pick("flat-b").job_id
    assert operator.job(job_id).outcome.code == "ok"

    def booked():
        counts = {(c.sku, c.place): c.count for c in operator.stats[-1].ledger}
        return counts.get(("flat-b", "source")) == 2 and operator.stats[-1].delivered == before.delivered + 1

    wait_until(booked, 3.0, "the ledger says so")
    assert operator.stats[-1].uph > 0


def test_a_busy_cell_queues_and_keeps_the_order(operator):
    answers = [operator.pick(sku) for sku in SKUS]
    assert [a.position for a in answers] == [0, 1, 2]
    assert all(a.outcome.code == "ok" for a in answers)
    wait_until(lambda: len(operator.state.queue) == 2, 5.0, "two jobs wait")
    assert [j.job_id for j in operator.state.queue] == [a.job_id for a in answers[1:]]
    busy = operator.call(SetManifest, "set_manifest", lines=[])
    assert busy.outcome.code == "busy"
    assert [operator.job(a.job_id).outcome.code for a in answers] == ["ok"] * 3


def test_cancel_takes_a_waiting_job_out_and_stops_a_running_one(operator):
    running, waiting = operator.pick("flat-a").job_id, operator.pick("flat-b").job_id
    operator.reach("approach")
    answer = operator.call(Cancel, "cancel", job_id=waiting)
    assert answer.outcome.code == "ok" and answer.job_id == waiting
    wait_until(lambda: not operator.state.queue, 2.0, "the queue is empty")
    begin = time.monotonic()
    assert operator.call(Cancel, "cancel").job_id == running
    assert operator.job(running).outcome.code == "cancelled"
    assert time.monotonic() - begin < 1.5
    wait_until(lambda: {(c.sku, c.place): c.count for c in operator.stats[-1].ledger}.get(("flat-a", "source")) == 3, 3.0)
    again = operator.call(Cancel, "cancel", job_id=running)
    assert again.outcome.code == "order_malformed" and "already ended" in again.outcome.text
    assert operator.call(Cancel, "cancel", job_id="no-such-job").outcome.code == "order_malformed"


def test_pause_holds_between_two_stages_and_resume_goes_on(operator):
    job_id = operator.pick("flat-a").job_id
    operator.reach("approach")
    assert operator.call(Pause, "pause").outcome.code == "ok"
    wait_until(lambda: operator.state.state == PickState.PAUSED, 5.0, "the cell stands still")
    stage = operator.state.stage
    time.sleep(1.0)
    assert operator.state.state == PickState.PAUSED and operator.state.stage == stage
    assert operator.call(Resume, "resume").outcome.code == "ok"
    assert operator.job(job_id).outcome.code == "ok"


def test_after_a_long_pause_before_the_grasp_the_cell_looks_again(operator):
    job_id = operator.pick("flat-a", timeout=15.0).job_id
    operator.reach("choose")
    operator.call(Pause, "pause")
    wait_until(lambda: operator.state.state == PickState.PAUSED, 5.0, "the cell stands still")
    assert operator.state.stage in ("choose", "approach", "grasp")
    time.sleep(3.5)
    operator.call(Resume, "resume")
    operator.job(job_id)  # how it ends is not the point: the fake selector knows only the grasp that was given up
    report = json.loads(operator.call(GetReport, "get_report", job_id=job_id).json)
    stages = [stage["stage"] for stage in report["stages"]]
    assert report["attempts"] >= 2 and stages.count("observe") == report["attempts"]
    assert any("paused for" in stage["text"] for stage in report["stages"])


def test_a_paused_cell_can_be_cancelled(operator):
    job_id = operator.pick("flat-a").job_id
    operator.reach("observe")
    operator.call(Pause, "pause")
    wait_until(lambda: operator.state.state == PickState.PAUSED, 5.0, "the cell stands still")
    operator.call(Cancel, "cancel", job_id=job_id)
    assert operator.job(job_id).outcome.code == "cancelled"
    operator.call(Resume, "resume")


@pytest.mark.parametrize(
    ("fields", "code", "said"),
    [
        ({"sku": ""}, "order_malformed", "'sku'"),
        ({"sku": "   "}, "order_malformed", "'sku'"),
        ({"sku": "flat-x"}, "item_unknown", "flat-a"),
        ({"sku": "flat-a", "timeout": float("nan")}, "order_malformed", "'timeout'"),
        ({"sku": "flat-a", "timeout": -1.0}, "order_malformed", "'timeout'"),
    ],
)
def test_a_wrong_pick_is_refused_with_code_and_sentence(operator, fields, code, said):
    answer = operator.pick(**fields)
    assert answer.outcome.code == code and said in answer.outcome.text and not answer.job_id
    result = operator.result(operator.goal(operator.pick_item, PickItem.Goal(**fields))).result
    assert result.outcome.code == code and said in result.outcome.text and not result.job_id


@pytest.mark.parametrize(
    ("lines", "code", "said"),
    [
        ([], "order_malformed", "'lines' is empty"),
        ([("flat-a", 0)], "order_malformed", "line 0"),
        ([("flat-a", 1), ("flat-b", -2)], "order_malformed", "line 1"),
        ([("flat-a", 1), ("", 1)], "order_malformed", "line 1"),
        ([("flat-a", 1), ("nothing", 1)], "item_unknown", "line 1"),
    ],
)
def test_a_wrong_order_is_refused_whole(operator, lines, code, said):
    goal = FulfilOrder.Goal(lines=[OrderLine(sku=sku, quantity=n) for sku, n in lines])
    result = operator.result(operator.goal(operator.fulfil_order, goal)).result
    assert result.outcome.code == code and said in result.outcome.text
    assert not operator.state.queue and operator.state.state == PickState.IDLE


def test_wrong_manifests_are_refused(operator):
    twice = [ManifestLine(sku="flat-a", count=1)] * 2
    for lines, code in ((twice, "order_malformed"), ([ManifestLine(sku="nothing", count=1)], "item_unknown")):
        assert operator.call(SetManifest, "set_manifest", lines=lines).outcome.code == code


def test_an_item_that_the_tote_does_not_hold(operator):
    operator.call(SetManifest, "set_manifest", lines=[ManifestLine(sku="flat-a", count=1)])
    assert operator.job(operator.pick("flat-b").job_id).outcome.code == "item_not_in_manifest"


def test_an_order_reports_every_piece(operator):
    feedback: list[FulfilOrder.Feedback] = []
    lines = [OrderLine(sku="flat-a", quantity=2), OrderLine(sku="flat-b", quantity=1)]
    handle = operator.goal(operator.fulfil_order, FulfilOrder.Goal(order_id="two lines", lines=lines), feedback)
    response = operator.result(handle, 60.0)
    result = response.result
    assert (result.outcome.code, result.delivered, len(result.items)) == ("ok", 3, 3), result.outcome.text
    assert [(i.line, i.sku, i.tool) for i in result.items] == [(0, "flat-a", "pinch")] * 2 + [(1, "flat-b", "pinch")]
    assert all({"observe", "lift", "place"} <= {t.name for t in i.stage_times} for i in result.items[:1])
    assert result.duration == pytest.approx(sum(i.duration for i in result.items))
    progress = [f.progress for f in feedback]
    assert progress == sorted(progress) and progress[-1] == 1.0
    assert {f.item for f in feedback} == {0, 1, 2}
    report = operator.call(GetReport, "get_report", job_id=result.report_id)
    data = json.loads(report.json)
    assert [i["sku"] for i in data["items"]] == ["flat-a", "flat-a", "flat-b"]
    assert f"{report.directory}/report.html" and "<html" in open(f"{report.directory}/report.html").read()


def test_an_order_goes_on_after_a_piece_that_fails(operator):
    operator.call(SetManifest, "set_manifest", lines=[ManifestLine(sku="flat-b", count=1)])
    lines = [OrderLine(sku="flat-a", quantity=1), OrderLine(sku="flat-b", quantity=1)]
    result = operator.result(operator.goal(operator.fulfil_order, FulfilOrder.Goal(lines=lines)), 60.0).result
    assert result.outcome.code == "item_not_in_manifest" and result.delivered == 1
    assert [i.outcome.code for i in result.items] == ["item_not_in_manifest", "ok"]


def test_a_cancelled_order_ends_with_all_its_pieces(operator):
    lines = [OrderLine(sku="flat-a", quantity=3)]
    handle = operator.goal(operator.fulfil_order, FulfilOrder.Goal(lines=lines))
    operator.reach("approach")
    wait_until(handle.cancel_goal_async().done, 5.0, "the cancellation is accepted")
    response = operator.result(handle)
    assert response.status == 5  # action_msgs/GoalStatus STATUS_CANCELED
    assert [i.outcome.code for i in response.result.items] == ["cancelled"] * 3


def test_a_pick_that_takes_too_long_ends_with_timeout(operator):
    answer = operator.pick("flat-a", timeout=0.6)
    assert operator.job(answer.job_id).outcome.code == "timeout"


def test_a_silent_camera_is_named(operator, cell):
    cell.fault.write_text("camera_stale cam_left: the newest image is 7.00 s old.")
    job = operator.job(operator.pick("flat-a").job_id)
    assert job.outcome.code == "camera_stale" and "cam_left" in job.outcome.text


def test_a_code_that_needs_a_person_stops_the_queue_until_reset(operator, cell):
    cell.fault.write_text("protective_stop Someone leant on the arm.")
    failing, waiting = operator.pick("flat-a").job_id, operator.pick("flat-b").job_id
    assert operator.job(failing).outcome.code == "protective_stop"
    wait_until(lambda: operator.state.state == PickState.NEEDS_RESET, 3.0, "the cell waits for a person")
    wait_until(lambda: operator.alerts and not operator.alerts[-1].cleared, 3.0, "an alert is raised")
    alert = operator.alerts[-1].outcome
    assert alert.code == "protective_stop" and "leant" in alert.text
    time.sleep(0.5)
    assert [j.job_id for j in operator.state.queue] == [waiting]
    for service, name in ((Pause, "pause"), (Resume, "resume")):
        assert operator.call(service, name).outcome.code == "needs_reset"
    cell.fault.unlink()
    assert operator.call(Reset, "reset").outcome.code == "ok"
    assert operator.job(waiting).outcome.code == "ok"
    wait_until(lambda: operator.alerts[-1].cleared, 3.0, "the alert is cleared")


def test_a_perception_node_killed_mid_pick(operator, cell):
    """The arm stops, the outcome is typed, and once the node is back the next pick works."""
    first, second = operator.pick("flat-a").job_id, operator.pick("flat-b").job_id
    operator.reach("transfer")
    begin = time.monotonic()
    cell.processes["scene"].kill()
    job = operator.job(first, 10.0)
    assert job.outcome.code == "node_lost" and "/scene" in job.outcome.text
    assert time.monotonic() - begin < 4.0
    wait_until(lambda: "/scene" in operator.state.sentence, 3.0, "the cell says what it waits for")
    cell.start_stage("scene")
    assert operator.job(second, 40.0).outcome.code == "ok"


def test_a_planner_killed_and_back_at_once_is_noticed(operator, cell):
    job_id = operator.pick("flat-a").job_id
    operator.reach("approach")
    cell.processes["motion_planner"].kill()
    cell.start_stage("motion_planner")
    assert operator.job(job_id, 10.0).outcome.code == "node_lost"


def test_a_hanging_stage_can_be_cancelled(operator, cell):
    operator.wait_ready()  # the planner may still be coming back from the test before
    cell.fault.write_text("hang")
    job_id = operator.pick("flat-a").job_id
    operator.reach("observe")
    time.sleep(0.3)
    operator.call(Cancel, "cancel", job_id=job_id)
    assert operator.job(job_id, 3.0).outcome.code == "cancelled"
    cell.fault.unlink()
    cell.processes["scene"].kill()  # still asleep
    wait_until(lambda: "/scene" not in operator.alive(), 5.0, "its death is noticed")
    cell.start_stage("scene")


def test_explain_and_report_of_unknown_jobs(operator):
    assert operator.call(Explain, "explain", job_id="no-such-job").outcome.code == "order_malformed"
    for job_id in ("no-such-job", "../..", ".hidden"):
        assert operator.call(GetReport, "get_report", job_id=job_id).outcome.code == "order_malformed"


def test_the_task_node_ends_at_once_and_after_a_crash_asks_a_person(operator, cell):
    """Last in this file: it restarts the task node, twice."""
    job_id = operator.pick("flat-a").job_id
    operator.reach("transfer")
    cell.processes["pick_task"].kill()  # as a crash: the ledger has the item in the hand
    cell.start_task()
    wait_until(lambda: operator.state.state == PickState.NEEDS_RESET, 20.0, "the cell waits for a person")
    assert "in the hand" in operator.state.sentence
    wait_until(lambda: {(c.sku, c.place): c.count for c in operator.stats[-1].ledger}.get(("flat-a", "needs_person")), 5.0)
    assert operator.call(Reset, "reset").outcome.code == "ok"
    operator.wait_ready()
    assert operator.job(operator.pick("flat-b").job_id).outcome.code == "ok"
    assert operator.call(GetReport, "get_report", job_id=job_id).outcome.code == "order_malformed"
    operator.pick("flat-b")
    operator.reach("approach")
    task = cell.processes["pick_task"]
    begin = time.monotonic()
    task.send(signal.SIGINT)
    assert task.wait(5.0) == 0, task.output
    assert time.monotonic() - begin < 2.5
    assert "arm: cancelled" in cell.processes["drivers"].output, "the arm was stopped"
