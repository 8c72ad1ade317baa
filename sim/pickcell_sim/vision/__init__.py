"""What cameras see of the simulated cell: drawing, noise and faults."""
