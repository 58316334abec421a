"""Conflicts: sets of nodes of which one runs again in every schedule within the budget."""
