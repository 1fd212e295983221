from sessiontrace.capture.encoding._record_body_py import encode_event as encode_event
