from sessiontrace.spool.frame import lay as lay
