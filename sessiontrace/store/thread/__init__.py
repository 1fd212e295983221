"""A session as a conversation: its turns, and what each of them adds."""
