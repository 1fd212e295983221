"""What Agno's runs, steps, functions and searches are as events."""
