"""The way out: lanes that read the spool and bring its records to their destinations."""
