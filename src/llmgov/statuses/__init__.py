"""What resources report about themselves: `(resource, problems, what was observed) -> status`, without I/O.

The operator writes it to the API server, and local mode prints it; both build it here, so that `kubectl get budgets`
and `llmgov get budgets` cannot differ.
"""
