"""Ground truth, for scorers and tests only: where items are, what a pick truly did."""
