"""The base of every error that hcp raises on purpose: one sentence with what is wrong, its value and the remedy."""


class HcpError(ValueError):
    """Bad input or an impossible request; the command line prints it in one line and exits with code 2."""


class GraphError(HcpError):
    """A graph, or the file that should hold one, breaks a rule of the intermediate representation."""
