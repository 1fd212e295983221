"""Values as people read them: texts, times and numbers on one line, and HTML for notebooks."""
