"""How the library of instances is made: ``python -m benchmarks.instances make | solve``."""
