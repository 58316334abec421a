"""The best schedule among the executions of several."""
