"""Evidence for bounds that is checked in exact integer arithmetic, a kind a file."""
