"""Pydantic AI's own spans, as events and still as its user's spans."""
