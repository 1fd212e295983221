"""Models that are spoken to over websockets: what is sent and received becomes model events."""
