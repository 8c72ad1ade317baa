"""Perception made of the truth, to tell its failures from those of others."""
