"""What all rooms share. The kernel knows nothing of the rooms."""
