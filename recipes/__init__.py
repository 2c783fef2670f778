"""What each distilled model needs, as data, and the code that tells which one a file is."""
