"""What a record is: values without I/O and without threads."""
