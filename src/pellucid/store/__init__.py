"""The state: the only place with SQL, paths and buckets."""
