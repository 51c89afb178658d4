alter table ledger_entry add constraint ledger_entry_command_id_fkey
    foreign key (command_id) references outcome;
