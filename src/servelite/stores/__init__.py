"""What is kept, and where: the ledger, as a journal that is written at once and a database behind it."""
