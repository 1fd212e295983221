"""The spool: records on disk from the moment they are taken until every destination has them.

Layout
------
All spools of a user live under one root (directory mode 0700, files 0600, owned by that user)::

    <root>/<spool id>/lock               held (flock) while the owner or a recovering process lives
    <root>/<spool id>/00000001.seg       segments, numbered from 1, read in the order of numbers
    <root>/<spool id>/00000001.seg.new   a segment that is being written out from memory
    <root>/<spool id>/<name>.cursor      how far the destination of that name has come
    <root>/.new-<spool id>/              an unfinished spool: locked first, then renamed
    <root>/dead/                         dead letters (the export side's)

A spool id is 16 hex digits and belongs to one tracer in one process. Each process writes only its
own spool. A process that finds a lock free may take it, and with it the spool: *recovery*.

Frame
-----
::

    crc32 SP kind SP route SP json LF

``crc32``: 8 lower-case hex digits, over everything between the first space and the line feed,
started from crc32 of ``<spool id>/<segment number>``: a frame of an earlier life of the same
blocks, or of another segment, never passes. ``kind``: start, open, event, end, update. ``route``:
``*`` for every destination, else their names with commas between. ``json``: one object without a
raw line feed. So a segment can be read with grep, and a reader that meets damage goes on after the
next line feed: one flipped bit costs at most two records.

Segment
-------
A header line, then ``open`` frames, then records, then zeros to the end of the file. The header is
a frame of kind ``header``, route ``*``, its checksum started from 0::

    {"format": 1, "spool": ..., "segment": ..., "service": ..., "pid": ...,
     "destinations": [{"name": ..., "kind": ..., "fingerprint": ...}, ...]}

``open`` frames repeat the ``start`` of every session that is open when the segment begins. So the
last segment lists the sessions that a killed process left open; recovery ends them, with the same
bytes each time. Segments begin at 256 KiB and double to 8 MiB, each prepared ahead by maintenance;
a sealed one is cut to what it holds. A segment of a newer format is left untouched.

Cursor
------
``crc32 SP spool id SP segment SP offset SP fingerprint SP .``, one line of fixed length, written in
place. Segment 99999999 comes after the last segment; its offset counts the ends of abandoned
sessions. A cursor is a hint: the segments are the truth.

What is guaranteed, and when it is not
--------------------------------------
=====================  =========================================================================
``append`` returned    the record survives ``kill -9``: it is in the kernel's page cache
``durability="sync"``  ... and power loss, too; else the last group sync bounds that (500 ms)
cursor lost, torn,     duplicates; never loss, never a wait
stale or in future
two processes          two spools; an orphan is recovered by exactly one
another key or URL     the fingerprint differs: nothing delivered, nothing removed
disk full, read-only   segments in memory, logged once, counted; written out when the disk is back
a file loses its name  noticed in the next round (500 ms) and at the end: written out under one
lock file removed      the owner makes a new one; an orphan is recovered after a minute
failed sync            that file is never trusted again; its records are written to another one
quota                  the oldest sealed segment goes, counted for each destination that loses by it
fork                   the child leaves the parent's spool alone and has its own
=====================  =========================================================================
"""
