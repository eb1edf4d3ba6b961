"""The operator: resources of the cluster in, configurations in the database and statuses out."""
