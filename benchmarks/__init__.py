"""Benchmarks: each prints a table and writes JSON with the machine's description."""
