"""What PyTorch's own ways to need less memory make of a training step, as schedules of its graph."""
