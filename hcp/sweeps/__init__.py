"""Sweeps: many graphs, budgets and planners, kept in a store, run here or on a cluster."""
