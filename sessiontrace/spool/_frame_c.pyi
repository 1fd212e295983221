from sessiontrace.spool._frame_py import write_frame as write_frame
