DROP TABLE projection_offset;
DROP TABLE command;
DROP TABLE account_transaction;
DROP TABLE account;
DROP TABLE session;
DROP TABLE customer;
