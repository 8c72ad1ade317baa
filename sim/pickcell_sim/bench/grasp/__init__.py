"""Grasping measured: whether chances mean what they say, what scoring costs, and what outcomes teach."""
