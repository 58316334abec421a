"""A small framework of NumPy kernels, and its integration with hcp by docs/adding-a-framework.md."""
