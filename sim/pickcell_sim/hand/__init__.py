"""The hand in simulation: jaw, suction cup, and the physics of a seal."""
