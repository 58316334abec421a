"""Models as sparse integer matrices, and the back ends that solve them."""
