"""`resources -> (snapshots, problems)`: whole sets in, compiled parts out, nothing in between is kept."""
