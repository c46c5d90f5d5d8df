"""The command line: parse, call one verb, answer. Data goes to stdout, everything else to stderr."""
