"""PostgreSQL: the embedded server, tables made from the Dataset specs, bulk upsert, Arrow reads, migrations, ledger."""
