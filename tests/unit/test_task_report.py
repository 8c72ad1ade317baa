"""The report: one file, everything escaped, pictures inside, failures with their reason."""

from __future__ import annotations

import re

from pickcell.outcome import Code, Stage
from pickcell.task.record import PickReport, StageRecord, read_record, write_record
from pickcell.task.report import ReportItem, render_html, write_html

PIXEL = bytes.fromhex("ffd8ffd9")


def reports() -> list[PickReport]:
    good = PickReport("j1", "box-1", code=Code.OK, text="Done.", tool="pinch", placed=True, start_s=10.0, duration_s=8.0)
    good.stages = [StageRecord(Stage.OBSERVE, 1, 10.0, 1.5), StageRecord(Stage.GRASP, 1, 11.5, 2.0)]
    bad = PickReport(
        "j2", "<b>card</b>", code=Code.MISSED, text='The hand closed on "nothing" & air.', start_s=18.0, duration_s=4.0
    )
    bad.stages = [StageRecord(Stage.GRASP, 1, 18.0, 4.0, code=Code.MISSED, text="<script>")]
    bad.put_off = ["no_grasp_found: It was buried."]
    return [good, bad]


def test_the_page_stands_alone_and_says_why(tmp_path):
    good, bad = reports()
    (tmp_path / "view.jpg").write_bytes(PIXEL)
    good.images = {"attempt 1, before, cam_left": "view.jpg", "attempt 1, lost, cam_left": "gone.jpg"}
    page = render_html("Order <1>", [ReportItem(good, tmp_path), ReportItem(bad)], {"seed": "0"})
    assert "1 of 2" in page and "Order &lt;1&gt;" in page
    assert page.count("data:image/jpeg;base64,") == 1 and not re.search(r'(src|href)="(?!data:|#)', page)
    assert "&lt;script&gt;" in page and "<script>" not in page and "<b>card</b>" not in page
    assert "closed on &#34;nothing&#34; &amp; air." in page and "put off until others" in page
    assert page.count("<rect") == 3


def test_an_order_of_nothing_is_still_a_page(tmp_path):
    path = write_html(tmp_path / "deep" / "report.html", "Empty", [], {})
    assert "0 of 0" in path.read_text()


def test_records_round_trip(tmp_path):
    for report in reports():
        assert PickReport.from_dict(report.to_dict()) == report
        assert write_record(report, tmp_path / report.job_id).ok
        assert read_record(tmp_path / report.job_id) == report


def test_a_disk_that_refuses_is_a_typed_failure(tmp_path):
    (tmp_path / "file").write_text("")
    written = write_record(reports()[0], tmp_path / "file" / "job")
    assert written.code is Code.LEDGER_UNWRITABLE
