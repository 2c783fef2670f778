"""What the core is measured against; none of it imports the core."""
