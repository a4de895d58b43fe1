"""What faces share: who asks, how errors are told, how tables and progress are printed."""
