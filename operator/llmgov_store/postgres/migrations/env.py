"""What alembic runs: the revisions, on the connection and in the transaction that `migration` began."""

from alembic import context

from llmgov_store.postgres.connecting import SCHEMA

context.configure(
    connection=context.config.attributes["connection"],
    version_table="schema_version",
    version_table_schema=SCHEMA,
    transactional_ddl=True,
)
context.run_migrations()
