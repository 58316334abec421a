"""Schedules, the replay that judges them, and what a planner takes and returns."""
