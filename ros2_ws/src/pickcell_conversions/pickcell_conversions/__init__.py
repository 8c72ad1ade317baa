"""Messages to values of the core and back: pure functions, no node, no state."""
