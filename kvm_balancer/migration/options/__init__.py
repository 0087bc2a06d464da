"""Which options a migration gets: defaults, places, the instance itself.

Pure: says which values hold, and which do not go together.
"""
