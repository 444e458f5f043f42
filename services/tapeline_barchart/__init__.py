"""Puts Barchart's option chains on the tape: live, else kept, else saved, and always labelled."""
