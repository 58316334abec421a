"""Graphs: the intermediate representation, its builders and generators. Imports nothing else of hcp."""
