"""The version of Pellucid, said in one place: the package's metadata is read from here."""

VERSION = "0.1.0"
