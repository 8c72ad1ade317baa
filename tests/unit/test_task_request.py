"""Orders from files: good ones are read, bad ones are refused with file, line and what is expected."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pickcell.outcome import Code
from pickcell.task.request import MAX_QUANTITY, Order, OrderLine, check_line, load_order


def write(tmp_path, text):
    path = tmp_path / "order.yaml"
    path.write_text(text)
    return path


def test_a_good_order(tmp_path):
    order = load_order(write(tmp_path, "order: A7\nlines:\n  - {sku: box-1, quantity: 2}\n  - {sku: can-2}\n"))
    assert order.value == Order("A7", (OrderLine("box-1", 2), OrderLine("can-2", 1)))
    assert order.unwrap().item_count == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected 'order:' and 'lines:'"),
        ("lines: []", "at least one entry"),
        ("order: 1\nlines: 3", "must be a list"),
        ("lines: [\n  {sku: a,\n", "order.yaml:3"),
        ("order: x\nlines:\n  - {sku: a}\n  - {sku: b, quantity: 0}\n", "order.yaml:4: 'quantity'"),
        ("order: x\nlines:\n  - {sku: a}\n  - {sku: '', quantity: 1}\n", "order.yaml:4: 'sku'"),
        ("lines:\n  - {sku: a, qty: 1}\n", "'sku' and 'quantity' and nothing else"),
        ("lines:\n  - box-1\n", "order.yaml:2"),
        ("lnes:\n  - {sku: a}\n", "unknown keys ['lnes']"),
        ("lines:\n  - {sku: a, quantity: .nan}\n", "whole number"),
        ("lines:\n  - {sku: a, quantity: true}\n", "whole number"),
    ],
)
def test_malformed_orders_say_where(tmp_path, text, said):
    order = load_order(write(tmp_path, text))
    assert order.code is Code.ORDER_MALFORMED and said in order.text


def test_missing_and_binary_files(tmp_path):
    assert "No such file" in load_order(tmp_path / "none.yaml").text
    path = tmp_path / "binary.yaml"
    path.write_bytes(bytes(range(256)))
    assert load_order(path).code is Code.ORDER_MALFORMED


@given(st.one_of(st.floats(), st.integers(), st.text(), st.none(), st.booleans(), st.lists(st.integers())))
def test_quantities_are_whole_numbers_in_range_or_refused(quantity):
    line = check_line("a", quantity, "here")
    if line.ok:
        assert 1 <= line.unwrap().quantity <= MAX_QUANTITY and math.isclose(line.unwrap().quantity, quantity)
    else:
        assert line.code is Code.ORDER_MALFORMED
