-- Outcome and entries of a command are written in one transaction, and never changed or
-- removed. Looking the outcome up and locking it for each entry took a sixth of the
-- database's time per transfer, and a record in its log each; checks from outside find an
-- entry without an outcome just as well.
alter table ledger_entry drop constraint ledger_entry_command_id_fkey;
