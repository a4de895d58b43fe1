"""Features: declared once, fitted once, the same for one row and for a million."""
