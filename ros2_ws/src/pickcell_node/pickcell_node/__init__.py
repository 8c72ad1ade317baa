"""What every stage node shares: parameters from a file, a heartbeat, guarded services, and a main loop that ends cleanly."""
