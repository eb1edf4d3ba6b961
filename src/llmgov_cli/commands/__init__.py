"""The commands' names, arguments and help; what they do is imported when one runs."""
