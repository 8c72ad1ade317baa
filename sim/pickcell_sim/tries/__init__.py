"""Grasps tried in the simulator, good and bad ones: what chances of success are learned from."""
