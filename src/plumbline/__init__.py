"""Plumbline: the system of record for automated decisions."""
