"""Training of the networks that the stages use. Loads torch only when something is trained; see requirements/train.txt."""
