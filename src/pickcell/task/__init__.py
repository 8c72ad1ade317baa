"""The task: one pick as a sequence of stages, orders of several, the ledger, and the report of what happened."""
