"""What runs inside the sandbox. Imported there by itself, from a bare interpreter: the standard library alone."""
