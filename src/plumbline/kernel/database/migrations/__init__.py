"""The kernel's migration history and Alembic's environment."""
