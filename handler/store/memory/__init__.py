"""The memory engine: for as long as the process lives."""
