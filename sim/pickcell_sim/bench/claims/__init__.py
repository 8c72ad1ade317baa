"""Four statements about pinch and suction, tried with true poses. ``./cell bench claims``; docs/claims.md."""
