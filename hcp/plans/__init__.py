"""Plans in files: written, read, kept for later, and checked."""
