"""Functions, generators and async generators traced by a decorator."""
