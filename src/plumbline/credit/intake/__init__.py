"""Applications come in: schemas, files, faults named to the cell."""
