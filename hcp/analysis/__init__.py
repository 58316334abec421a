"""What a graph is like before anybody plans it: frontiers, orders, compressibility, lower bounds."""
