"""Bindings to the frameworks that run schedules; each imports its framework, the core never does."""
