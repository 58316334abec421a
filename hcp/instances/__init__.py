"""A library of instances: graphs of real models, with the best schedules and certified bounds that are known.

found = hcp.instances.load("llama3-8b-8l")
found.graph, found.best_at("50%").plan
"""

from hcp.instances.library import Summary, folder, load, names, save, summaries
from hcp.instances.record import Best, Instance, Origin
from hcp.instances.submission import Change, submitted

__all__ = [
    "Best",
    "Change",
    "Instance",
    "Origin",
    "Summary",
    "folder",
    "load",
    "names",
    "save",
    "submitted",
    "summaries",
]
