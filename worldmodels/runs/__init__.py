"""What every stage needs besides its own work: folder, checkpoints, random streams, metrics, progress."""
