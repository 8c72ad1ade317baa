"""From labelled scenes to trained networks (`./cell train`)."""
