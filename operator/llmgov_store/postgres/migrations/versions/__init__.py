"""One module a revision. A revision is never edited once released; a change is a new one."""
