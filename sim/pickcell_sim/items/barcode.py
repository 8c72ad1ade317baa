"""EAN-13 barcodes (ISO/IEC 15420): the number and its bars."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_L = ("0001101", "0011001", "0010011", "0111101", "0100011", "0110001", "0101111", "0111011", "0110111", "0001011")
_PARITY = ("LLLLLL", "LLGLGG", "LLGGLG", "LLGGGL", "LGLLGG", "LGGLLG", "LGGGLL", "LGLGLG", "LGLGGL", "LGGLGL")


def ean13(number: int) -> str:
    """Thirteen digits: prefix 2 (numbers a company gives itself, GS1), ``number`` in 11 digits, and the check digit."""
    if not 0 <= number < 10**11:
        raise ValueError(f"number must have at most 11 digits, got {number}")
    digits = f"2{number:011d}"
    total = sum(int(d) * (3 if i % 2 else 1) for i, d in enumerate(digits))
    return digits + str(-total % 10)


def modules(code: str) -> NDArray[np.bool_]:
    """(95,) True for each dark module of a 13-digit code. Raises ValueError when the check digit is wrong."""
    if len(code) != 13 or not code.isdigit() or ean13_check(code) != code[-1]:
        raise ValueError(f"not an EAN-13: {code!r}")
    bits = "101"
    for digit, parity in zip(code[1:7], _PARITY[int(code[0])]):
        pattern = _L[int(digit)]
        # A "G" pattern is the "R" pattern (complement of L) read backwards.
        bits += pattern if parity == "L" else _complement(pattern)[::-1]
    bits += "01010" + "".join(_complement(_L[int(d)]) for d in code[7:]) + "101"
    return np.array([b == "1" for b in bits])


def ean13_check(code: str) -> str:
    """The check digit that the first twelve digits of ``code`` call for."""
    return str(-sum(int(d) * (3 if i % 2 else 1) for i, d in enumerate(code[:12])) % 10)


def _complement(bits: str) -> str:
    return bits.translate(str.maketrans("01", "10"))
