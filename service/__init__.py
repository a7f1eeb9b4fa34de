"""What is remembered: settings, tables, the state machine, the store, the doorbell. Imported by ``api`` and ``worker``."""
