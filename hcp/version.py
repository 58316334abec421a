"""The version of hcp, which stored plans and results carry."""

# The build reads this line.
__version__ = "0.2.0"
