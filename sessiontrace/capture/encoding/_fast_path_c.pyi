from sessiontrace.capture.encoding._fast_path_py import classify as classify
from sessiontrace.capture.encoding._fast_path_py import encode_fast as encode_fast
