"""The order-free cut relaxation: its rows, families of cuts, solution, and the way back to schedules."""
