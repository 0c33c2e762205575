"""Floor 6: the command line. Nothing here imports torch; whatever needs it runs in a subprocess."""
