"""``./cell bench motion``: planning, trajectories and replanning against OMPL with coal, every path re-validated exactly."""
