"""The ledger's commands: ``plumbline audit`` and ``plumbline ledger``."""
