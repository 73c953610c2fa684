"""The one check of data from outside: fields, files, photos, paths, units, and what was found wrong."""
