"""The arm in simulation: body, trajectory controller and wrist sensor."""
