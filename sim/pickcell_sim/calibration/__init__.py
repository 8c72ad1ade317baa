"""Calibrating the simulated cell's cameras: the board as a thing, the routine that photographs it, and what it is worth."""
