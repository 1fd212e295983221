"""HoneyHive: sessions, events and updates by its REST v1 API."""
