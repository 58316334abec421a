"""The order-free cut relaxation: its rows, path cuts, solution, and the way back to schedules."""
