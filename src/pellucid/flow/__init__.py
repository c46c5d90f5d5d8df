"""The verbs: one file each, the only place where science and state meet."""
