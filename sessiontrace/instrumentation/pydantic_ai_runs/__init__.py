"""What Pydantic AI's own spans lack."""
