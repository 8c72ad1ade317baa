"""Benchmarks that run on the simulated cell: one harness, one result format, honest intervals."""
