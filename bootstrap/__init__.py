"""What run.py needs before anything is installed; imports nothing but the standard library."""
