from sessiontrace.spool._frame_py import split_frames as split_frames
from sessiontrace.spool._frame_py import write_frame as write_frame
