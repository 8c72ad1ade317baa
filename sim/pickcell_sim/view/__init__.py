"""Labelled scenes and simulated totes, as the cell sees them, in the browser (`./cell view`)."""
