"""What the events of CrewAI's bus say, as steps."""
