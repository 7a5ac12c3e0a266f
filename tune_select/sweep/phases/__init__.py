"""What a sweep trains, phase after phase, and which of it was trained before."""
