"""What stands in a results folder: its state and its lock, what trials reported, the tables."""
