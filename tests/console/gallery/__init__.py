"""Every component of the console with sample content, for tests and for the eye."""
