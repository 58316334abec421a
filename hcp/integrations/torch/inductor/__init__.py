"""Plans inside programs that Inductor compiles: what it fuses is one operation of the plan.

Loading it loads Inductor, so that only calls which ask for ``compiler="inductor"`` do.
"""
