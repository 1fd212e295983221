"""Values as people read them: texts, times and numbers on one line, markdown, notebooks."""
