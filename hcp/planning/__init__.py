"""What planners take and return, and what they share: limits, judged plans, the state of a search."""
