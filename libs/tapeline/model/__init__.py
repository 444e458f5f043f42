"""The vocabulary of the tape: frames, marks, event ids, cursors, feed events, and their codecs. Pure."""
