"""The files of a manager's raft log, as a test damages them; the daemon that owns them is dead meanwhile.

The layout is SQLite's (a write-ahead log: a header of 32 bytes, then frames of 24 bytes and a page; frames of
the present run carry the header's two salts) and ours for the names.

SPDX-License-Identifier: Apache-2.0
"""
import glob
import os
import sqlite3
import struct

HEADER = 32
FRAME_HEADER = 24


def log_frames(path):
    """(offset, whether it ends a transaction) of each frame of the present run, and the size of a frame."""
    with open(path, "rb") as file:
        content = file.read()
    page = struct.unpack_from(">I", content, 8)[0]
    frames = []
    at = HEADER
    while content[at + 8:at + 16] == content[16:24]:
        frames.append((at, struct.unpack_from(">I", content, at + 4)[0] != 0))
        at += FRAME_HEADER + page
    return frames, FRAME_HEADER + page


def flip_bit(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 0x10]))


def tear_tail(path):
    """A transaction that was being written when the power went: the first half of its frame is there."""
    frames, size = log_frames(path)
    with open(path, "r+b") as file:
        file.seek(16)
        salts = file.read(8)
        file.seek(frames[-1][0] + size)
        file.write(struct.pack(">II", 2, 3) + salts + os.urandom(size // 2))


def flip_in_log(path):
    """A bit of a frame that others, made durable later, follow. Which one: they count from 1."""
    frames, size = log_frames(path)
    if sum(ends for _, ends in frames) < 4:
        raise AssertionError(f"{path} holds {len(frames)} frames: too few to damage one in the middle")
    number = len(frames) // 2
    flip_bit(path, frames[number][0] + FRAME_HEADER + size // 2)
    return number + 1


def flip_in_entry(path):
    """A bit of an entry that rests in the database; the entry's index."""
    database = sqlite3.connect(f"file:{path}?immutable=1", uri=True)
    rows = database.execute("SELECT idx, bytes FROM entries WHERE length(bytes) > 40 ORDER BY idx").fetchall()
    database.close()
    with open(path, "rb") as file:
        content = file.read()
    for index, sealed in rows[len(rows) // 2:]:
        at = content.find(sealed)  # one that overflows its page is not in one piece
        if at >= 0:
            flip_bit(path, at + len(sealed) // 2)
            return index
    raise AssertionError(f"{path} holds no entry in one piece among {len(rows)}")


def snapshots(data):
    return sorted(glob.glob(os.path.join(data, "snapshots", "*.snapshot")))


def unfinished_snapshots(data):
    return glob.glob(os.path.join(data, "snapshots", "*.tmp"))
