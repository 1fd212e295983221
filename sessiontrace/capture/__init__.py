"""The user's thread: handles, their context, and the encoding of what they hold.

Everything here runs inside user code and sees the rest of the package only as one ``offer``
callable. Invariant: nothing in this package raises into user code, waits, or keeps a user's object
alive after the call that handed it over.
"""
