"""Graphs with fewer nodes, whose schedules are schedules of the graph."""
