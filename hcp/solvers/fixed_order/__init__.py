"""Staged models, for schedules whose first executions follow one given order."""
