drop function advance_offsets;
drop sequence debt_owner;
drop table emission_debt;
drop table consumer_offset;
drop table ledger_entry;
drop table outcome;
drop table account;
