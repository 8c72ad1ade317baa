"""Labelled captures of filled totes: what perception is trained and measured on (`./cell data`)."""
