"""The cell's view in a browser (`./cell view`): what perception made of a look, in layers. See requirements/view.txt."""
